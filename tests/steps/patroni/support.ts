/** A real Patroni cluster, and what a run gives the steps that work on it. */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "bun:test";
import { systemClock } from "../../../engine/clock.ts";
import { validate } from "../../../engine/shared/validate.ts";
import type { Json, StepType, Target } from "../../../engine/types.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import { fakeContext, type FakeContext } from "../../support/context.ts";
import { type PatroniCluster, startPatroni } from "../../support/patroni.ts";
import { through } from "../../support/target.ts";

export interface World {
  cluster: PatroniCluster;
  target: Target;
  home: string;
  /** What a run needs in its environment. */
  env: Record<string, string>;
  end(): Promise<void>;
}

export async function startWorld(members: number): Promise<World> {
  const [cluster, home] = await Promise.all([
    startPatroni(members),
    mkdtemp(join(tmpdir(), "pgdba-patroni-steps-")),
  ]);
  await mkdir(join(home, "clusters"));
  const { host, port } = cluster.members[0]!;
  const apis = cluster.members.map(({ name, api }) => `${name}: "${api}"`).join(", ");
  const nodes = cluster.members.map(
    (one) =>
      `  - {name: ${one.name}, roles: [postgres], address: {host: ${one.host}, port: ${one.port}}}`,
  );
  await writeFile(
    join(home, "clusters", "pat.yaml"),
    `ownership: connected
postgres: {host: ${host}, port: ${port}, user: postgres, password_env: SQL_PASSWORD, sslmode: disable}
patroni: {endpoints: [${cluster.members.map(({ api }) => `"${api}"`).join(", ")}], members: {${apis}}, user: admin, password_env: API_PASSWORD, scope: test}
dcs: {kind: etcd3, endpoints: ["${cluster.etcd}"]}
nodes:
${nodes.join("\n")}
`,
  );
  const env = { SQL_PASSWORD: cluster.password, API_PASSWORD: cluster.apiPassword };
  const target = await resolveTarget({
    flags: { cluster: "pat" },
    env,
    stateDir: home,
    onSecret: () => {},
  });
  return {
    cluster,
    target,
    home,
    env,
    async end() {
      await target.close();
      await cluster.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

export function contextOf({ target }: World, noted?: Json): FakeContext {
  const ctx = fakeContext({ clock: systemClock, target: through(target) });
  if (noted !== undefined) ctx.note(noted);
  return ctx;
}

/** Runs a step as it is declared, and holds its output to its schema. */
export async function did(
  type: StepType,
  input: object,
  ctx: FakeContext,
): Promise<Record<string, any>> {
  ctx.does.effect = typeof type.effect === "function" ? type.effect(input) : type.effect;
  const output = (await type.run(ctx, input)) as Json;
  expect(validate(type.output, output, "the output")).toEqual([]);
  return output as Record<string, any>;
}

export async function until(holds: () => Promise<boolean>): Promise<void> {
  const ends = performance.now() + 30_000;
  while (!(await holds().catch(() => false))) {
    if (performance.now() > ends) throw new Error(`never came: ${holds.toString()}`);
    await Bun.sleep(100);
  }
}
