/** A server alone is registered: by the command, and by what works on clusters afterwards. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { worldOf } from "../sequence/support.ts";

describe("a server that no Patroni runs", () => {
  const world = worldOf(16);
  const connect = (name: string, ...more: string[]) => {
    const { host, port, user, password } = world.server;
    const at = ["--pg-host", host, "--pg-port", String(port), "--pg-user", user];
    return world.pgdba(
      ["cluster", "connect", "--name", name, ...at, "--password-env", "BILLING_PASSWORD", ...more],
      { env: { BILLING_PASSWORD: password } },
    );
  };

  test("it is registered by its host, named afterwards, and only once", async () => {
    const { envelope } = await connect("billing", "--label", "test");
    const [{ identity }] = await world.sql(
      "select system_identifier::text as identity from pg_control_system()",
    );
    expect(envelope.error).toBe(null);
    expect(envelope.data).toMatchObject({
      name: "billing",
      version: 16,
      system_identifier: identity,
      leader: null,
      members: [],
    });
    const text = readFileSync(join(world.at.home, "clusters/billing.yaml"), "utf8");
    expect(parse(text)).toMatchObject({
      ownership: "connected",
      labels: ["test"],
      system_identifier: identity,
      postgres: { port: world.server.port, password_env: "BILLING_PASSWORD" },
    });
    expect(text).not.toContain(world.server.password);
    const password = { env: { BILLING_PASSWORD: world.server.password } };
    const { envelope: sessions } = await world.pgdba(
      ["session", "list", "--cluster", "billing"],
      password,
    );
    expect(sessions.data).toMatchObject({ run: { target: "billing" } });
    const twice = await connect("other");
    expect(twice.envelope.error).toMatchObject({
      code: "step_refused",
      message: "This cluster is registered already, as billing",
    });
  }, 300_000);

  test("a variable that is not set, and a host that does not answer, register nothing", async () => {
    const unset = await world.pgdba([
      "cluster",
      "connect",
      "--name",
      "unset",
      "--pg-host",
      "db9",
      "--password-env",
      "NOT_SET",
    ]);
    expect(unset.envelope.error).toMatchObject({ code: "missing_secret" });
    const nobody = await world.pgdba([
      "cluster",
      "connect",
      "--name",
      "nobody",
      "--pg-host",
      "127.0.0.1",
      "--pg-port",
      "1",
    ]);
    expect(nobody.envelope.error).toMatchObject({ code: "connection_failed" });
    const { envelope } = await world.pgdba(["cluster", "list"]);
    expect(JSON.stringify(envelope.data)).not.toMatch(/unset|nobody/);
  }, 300_000);
});
