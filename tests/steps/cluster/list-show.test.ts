import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { validate } from "../../../engine/check/validate.ts";
import type { Json } from "../../../engine/types.ts";
import list from "../../../steps/cluster/list.ts";
import show from "../../../steps/cluster/show.ts";
import { fakeContext } from "../../support/context.ts";
import { codeOf } from "../../providers/postgres/helpers.ts";

const stateDir = mkdtempSync(join(tmpdir(), "pgdba-clusters-"));
afterAll(() => rmSync(stateDir, { recursive: true, force: true }));
mkdirSync(join(stateDir, "clusters"));
const write = (name: string, text: string) =>
  writeFileSync(join(stateDir, "clusters", `${name}.yaml`), text);
write(
  "orders",
  `ownership: managed
provider: docker
labels: [eu]
system_identifier: "77"
postgres: {host: db1, port: 5433, user: u, password_secret: superuser}
patroni: {endpoints: ["http://db1:8008"], scope: orders, password_env: API_PW}
nodes: [{name: pg1, roles: [postgres]}, {name: pg2, roles: [postgres]}]
secrets: {superuser: {file: superuser}, unused: {env: UNUSED_PW}}
recorded_by: {nodes: run-1}
`,
);
write("new", "ownership: managed\npartial: run-0\n");
write("broken", "ownership: connected\npostgres: {host: h, user: u, password: hunter22}\n");
writeFileSync(join(stateDir, "superuser"), "hunter23\n", { mode: 0o600 });

const context = () => fakeContext({ run: { stateDir }, env: { API_PW: "hunter24" } });

test("all are listed, also what can't be used", async () => {
  const output = (await list.run(context(), {})) as { clusters: { [key: string]: Json }[] };
  expect(validate(list.output, output, "output")).toEqual([]);
  expect(output.clusters.map(({ name, problem }) => [name, problem !== null])).toEqual([
    ["broken", true],
    ["new", false],
    ["orders", false],
  ]);
  expect(output.clusters[0]?.["hint"]).toContain("Did you mean password_env?");
  expect(output.clusters[1]).toMatchObject({ partial: "run-0", host: null, nodes: null });
  expect(output.clusters[2]).toMatchObject({
    ownership: "managed",
    provider: "docker",
    labels: ["eu"],
    host: "db1",
    port: 5433,
    nodes: 2,
    system_identifier: "77",
  });
  expect(JSON.stringify(output)).not.toContain("hunter2");
});

test("no folder, no clusters", async () => {
  const empty = fakeContext({ run: { stateDir: join(stateDir, "nowhere") } });
  expect(await list.run(empty, {})).toEqual({ clusters: [] });
  const wrong = fakeContext({ run: { stateDir: join(stateDir, "superuser") } });
  expect(await codeOf(list.run(wrong, {}))).toBe("io_failed");
});

test("one is shown whole, and of its secrets where they are, never what they are", async () => {
  const ctx = context();
  const output = (await show.run(ctx, { name: "orders" })) as { [key: string]: Json };
  expect(validate(show.output, output, "output")).toEqual([]);
  expect(output["secrets"]).toEqual([
    { name: "superuser", in: "file", where: join(stateDir, "superuser"), problem: null },
    { name: "unused", in: "variable", where: "UNUSED_PW", problem: "Not set: UNUSED_PW" },
    { name: "patroni", in: "variable", where: "API_PW", problem: null },
  ]);
  expect(output).toMatchObject({ patroni: { scope: "orders" }, nodes: [{ name: "pg1" }, {}] });
  expect(JSON.stringify(output)).not.toContain("hunter2");
  // What was read to see whether it can be is masked from now on.
  expect(ctx.recorded.secrets.toSorted()).toEqual(["hunter23", "hunter24"]);
});

test("of one that can't be used is shown why", async () => {
  const output = (await show.run(context(), { name: "broken" })) as { [key: string]: Json };
  expect(validate(show.output, output, "output")).toEqual([]);
  expect(output["problem"]).toContain("unknown key `password`");
  expect(JSON.stringify(output)).not.toContain("hunter2");
});

test("the nearest name is told to whoever mistypes one", async () => {
  const error = await show.run(context(), { name: "odrers" }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "no_target", hint: "Did you mean orders?" });
  const lab = await show.run(context(), { name: "lab" }).catch((thrown: unknown) => thrown);
  expect(lab).toMatchObject({ code: "no_target", hint: "`pgdba lab up` makes it." });
});

test("an unknown name, no name, and what is no name", async () => {
  expect(await codeOf(show.run(context(), { name: "nobody" }))).toBe("no_target");
  expect(await codeOf(show.run(context(), {}))).toBe("invalid_param");
  expect(await codeOf(show.run(context(), { name: "../../etc/passwd" }))).toBe("invalid_param");
});
