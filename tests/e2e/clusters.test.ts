import { afterAll, afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { at, cli, place, removePlaces, write } from "./support.ts";

setDefaultTimeout(300_000);
afterEach(removePlaces);

/** A server that counts who comes, and answers nobody. */
let connections = 0;
const server = Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  socket: { open: () => void connections++, data() {} },
});
afterAll(() => server.stop(true));

const CLUSTERS = {
  "home/clusters/orders.yaml": `ownership: connected\nlabels: [production]\npostgres: {host: 127.0.0.1, port: ${server.port}, user: u, password_env: ORDERS_PW}\n`,
  "home/clusters/shop.yaml": `ownership: managed\npostgres: {host: 127.0.0.1, port: ${server.port}, user: u}\n`,
  "home/clusters/broken.yaml":
    "ownership: connected\npostgres: {host: h, user: u, password: hunter22}\n",
};

test("clusters are listed, shown and forgotten without a word to any server", async () => {
  const p = place(CLUSTERS);
  const list = await cli(["cluster", "list"], p);
  const clusters = at(list.envelope, "data", "clusters") as { name: string; problem: unknown }[];
  expect(clusters.map(({ name, problem }) => [name, problem !== null])).toEqual([
    ["broken", true],
    ["orders", false],
    ["shop", false],
  ]);
  const show = await cli(["cluster", "show", "orders"], p);
  expect(at(show.envelope, "data", "cluster", "postgres", "port")).toBe(server.port);
  expect(at(show.envelope, "data", "cluster", "secrets", 0, "problem")).toBe("Not set: ORDERS_PW");
  const broken = await cli(["cluster", "show", "broken"], p);
  expect([broken.exit, at(broken.envelope, "data", "cluster", "problem")]).toEqual([
    0,
    expect.stringContaining("unknown key `password`"),
  ]);
  const table = await cli(["cluster", "show", "broken", "--verbose"], p);
  for (const { stdout, stderr } of [list, show, broken, table])
    expect(stdout + stderr).not.toContain("hunter22");

  const refused = await cli(["cluster", "forget", "--cluster", "shop"], p);
  expect([refused.exit, refused.envelope.error?.code]).toEqual([1, "step_refused"]);
  const forgotten = await cli(["cluster", "forget", "--cluster", "orders"], p);
  const kept = at(forgotten.envelope, "data", "kept") as string;
  expect(readFileSync(join(kept, "cluster.yaml"), "utf8")).toBe(
    CLUSTERS["home/clusters/orders.yaml"],
  );
  expect(existsSync(join(p.home, "clusters/orders.yaml"))).toBe(false);
  expect(connections).toBe(0);
});

test("so they are by --cluster and beside a server of the environment, with or without its password", async () => {
  const p = place(CLUSTERS);
  const before = connections;
  const env = { PGHOST: "127.0.0.1", PGPORT: String(server.port) };
  for (const args of [
    ["cluster", "list"],
    ["cluster", "show", "--cluster", "orders"],
    ["lab", "status"],
    ["lab", "down"],
    ["cluster", "forget", "--cluster", "orders"],
    ["cluster", "forget", "--force", "--cluster", "shop"],
  ]) {
    const { exit, envelope } = await cli(args, p, args.includes("--cluster") ? {} : { env });
    expect({ args, exit, error: envelope.error }).toEqual({ args, exit: 0, error: null });
  }
  expect(existsSync(join(p.home, "clusters/orders.yaml"))).toBe(false);
  expect(connections).toBe(before);
});

test("a policy for a cluster or its label holds for forgetting it, and so does nothing of a name that is free", async () => {
  const p = place({
    ...CLUSTERS,
    "home/policy.yaml":
      "rules:\n  - match: {label: production, risk: [change]}\n    action: refuse\n    reason: ask Ann\n",
  });
  const refused = await cli(["cluster", "forget", "--cluster", "orders"], p);
  expect([refused.exit, refused.envelope.error?.code]).toEqual([3, "policy_refused"]);
  expect(existsSync(join(p.home, "clusters/orders.yaml"))).toBe(true);
  const nobody = await cli(["cluster", "forget", "--cluster", "odrers"], p);
  expect([nobody.envelope.error?.code, nobody.envelope.error?.hint]).toEqual([
    "no_target",
    "Did you mean orders?",
  ]);
  const none = await cli(["cluster", "forget"], p);
  expect(none.envelope.error?.code).toBe("invalid_param");
  write(p.root, { "home/clusters/half.yaml": "ownership: managed\npartial: run-0\n" });
  expect((await cli(["cluster", "forget", "--cluster", "half"], p)).exit).toBe(0);
});

test("the lab is not made for a run that asks nothing of it", async () => {
  const p = place();
  const show = await cli(["cluster", "show", "--cluster", "lab"], p);
  expect(show.envelope.error?.code).toBe("no_target");
  expect((await cli(["cluster", "list", "--cluster", "lab"], p)).exit).toBe(0);
  expect(existsSync(join(p.home, "nodes/lab"))).toBe(false);
});

test("the schema of a cluster's file is printed, and accepts what the registry writes", async () => {
  const p = place();
  write(p.root, {
    "cwd/.pgdba/runbooks/t/make.yaml":
      "summary: Make it.\nrisk: change\nsteps:\n  - cluster.reserve: {provider: embedded, secrets: [superuser]}\n",
  });
  expect((await cli(["t", "make", "--cluster", "made"], p)).exit).toBe(0);
  expect((await cli(["lint", join(p.home, "clusters/made.yaml")], p)).exit).toBe(0);
  const { envelope } = await cli(["schema", "cluster"], p);
  expect(Object.keys(at(envelope, "data", "properties") as object)).toContain("nodes");
});
