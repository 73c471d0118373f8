/** pgdba is killed in the middle of silencing, and of putting and taking away a rule of one's own; then it is gone on with, given up, or run again. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../engine/clock.ts";
import type { JsonObject } from "../../../engine/types.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import ownRule from "../../../steps/monitor/own-rule.ts";
import { cli, type Place, place, removePlaces, Running } from "../../e2e/support.ts";
import { fakeContext } from "../../support/context.ts";
import { runIn } from "../../support/live.ts";
import { LocalMonitoring } from "../../support/monitoring/local.ts";
import { prometheusMissing } from "../../support/monitoring/programs.ts";

setDefaultTimeout(300_000);

const RULES = `
groups:
  - name: rules
    interval: 1s
    rules:
      - alert: ReplicationLag
        expr: vector(70)
        labels: {cluster: orders, instance: pg2, severity: warning}
`;
const OWN = "/var/lib/pgdba/monitor/rules/own.rules.yml";
const KILL_AT = new URL("../../support/kill-at.ts", import.meta.url).pathname;
const missing = prometheusMissing("prometheus", "promtool", "amtool", "prometheus-alertmanager");

describe.skipIf(missing !== null)(`killed${missing === null ? "" : ` (${missing})`}`, () => {
  let world: LocalMonitoring;
  beforeAll(async () => {
    world = await LocalMonitoring.start(RULES);
  }, 300_000);
  afterAll(async () => {
    await world?.stop();
    removePlaces();
  });

  describe("a silence", () => {
    const at = (): Place => {
      const made = place();
      const { prometheus, alertmanager } = world;
      mkdirSync(join(made.home, "clusters"), { recursive: true });
      const entry = { ownership: "connected", postgres: { host: "127.0.0.1", port: 9, user: "u" } };
      writeFileSync(
        join(made.home, "clusters/orders.yaml"),
        JSON.stringify({ ...entry, monitoring: { prometheus, alertmanager } }),
        { mode: 0o600 },
      );
      return made;
    };
    const words = ["monitor", "silence", "quiet", "--alert", '["ReplicationLag"]', "--cluster"];
    const begin = (shop: Place, env: Record<string, string>) =>
      new Running([...words, "orders", "--format", "json"], shop, {
        preload: KILL_AT,
        env,
      }).ended();
    const resume = (shop: Place, run: string, ...more: string[]) =>
      cli(["resume", run, ...more, "--format", "json"], shop);
    /** Those in force, by the run that has made them. */
    async function inForce(): Promise<string[]> {
      const answer = await fetch(`${world.alertmanager}/api/v2/silences`);
      const all = (await answer.json()) as { createdBy: string; status: { state: string } }[];
      return all
        .filter(({ status }) => status.state !== "expired")
        .map(({ createdBy }) => createdBy.split(" ").at(-1)!);
    }
    async function forgetAll(): Promise<void> {
      const answer = await fetch(`${world.alertmanager}/api/v2/silences`);
      for (const { id, status } of (await answer.json()) as any[])
        if (status.state !== "expired")
          await fetch(`${world.alertmanager}/api/v2/silence/${id}`, { method: "DELETE" });
    }

    test("is there once when its run is gone on with, is gone when that is given up, and that of a later run stays", async () => {
      const shop = at();
      const log = join(shop.root, "moments");
      expect((await begin(shop, { KILL_LOG: log })).exit).toBe(0);
      await forgetAll();
      // Of one that is sent, the answer is here before the clock has told it.
      const moments = readFileSync(log, "utf8")
        .trim()
        .split("\n")
        .filter((moment) => !moment.startsWith("sent "));
      expect(moments).toEqual([
        "started silenced",
        "sending 1",
        "acted silenced",
        "ended silenced",
      ]);
      for (const moment of moments) {
        const dead = async () => {
          const { exit, stderr } = await begin(shop, { KILL_AT: moment });
          expect([moment, exit]).toEqual([moment, 137]);
          return runIn(stderr)!;
        };
        const resumed = await dead();
        const ended = await resume(shop, resumed);
        expect([moment, ended.exit, ended.envelope.error]).toEqual([moment, 0, null]);
        expect([moment, await inForce()]).toEqual([moment, [expect.stringContaining(resumed)]]);
        await forgetAll();
        const given = await dead();
        expect([moment, (await resume(shop, given, "--give-up")).exit]).toEqual([moment, 130]);
        expect([moment, await inForce()]).toEqual([moment, []]);
        const first = await dead();
        const again = await begin(shop, {});
        expect([moment, again.exit]).toEqual([moment, 0]);
        await resume(shop, first, "--give-up");
        const later = runIn(again.stderr)!;
        expect([moment, await inForce()]).toEqual([moment, [expect.stringContaining(later)]]);
        await forgetAll();
      }
    });
  });

  describe("a rule of one's own", () => {
    beforeAll(() =>
      // Evaluated more often than a new file of pgdba is.
      writeFileSync(world.path(OWN), "groups: [{name: own, interval: 1s, rules: []}]\n"),
    );

    /** The node for a process that dies before its Nth program that changes anything there. */
    function dying(at: number): { nodes: Nodes; met: () => boolean } {
      let changes = 0;
      const nodes = {
        exec: (...args: Parameters<Nodes["exec"]>) => {
          const [, argv] = args;
          if (argv[0] === "sh" || argv.includes("-I")) changes += 1;
          if (changes >= at) throw new Error("killed");
          return world.nodes.exec(...args);
        },
      };
      return { nodes: nodes as unknown as Nodes, met: () => changes >= at };
    }
    const context = (run: string, nodes = world.nodes) =>
      fakeContext({
        run: { id: run },
        clock: systemClock,
        target: { cluster: "orders", name: "orders", use: async () => nodes as never },
      });
    type Context = ReturnType<typeof context>;
    const input = (rule: JsonObject | null) => ({ node: "monitor1", name: "Much", rule });
    const ruleOf = (than: number) => ({
      expr: `sum by (cluster)(up) > ${than}`,
      severity: "warning",
      summary: "much",
    });
    /** The expression that Prometheus evaluates, and that of its file; null where there is none. */
    async function seen(): Promise<[string | null, string | null]> {
      const answer = await fetch(`${world.prometheus}/api/v1/rules?type=alert`);
      const { data } = (await answer.json()) as any;
      const there = data.groups
        .flatMap(({ rules }: any) => rules)
        .find(({ name }: any) => name === "Much");
      const file = readFileSync(world.path(OWN), "utf8");
      const than = (text: string | undefined) =>
        /sum by \(cluster\) ?\(up\) > (\d+)/.exec(text ?? "")?.[1];
      return [than(there?.query) ?? null, than(file) ?? null];
    }
    const settled = async (than: string | null, what: unknown[]) => {
      await world
        .until(async () => Bun.deepEquals(await seen(), [than, than]), "it is in force")
        .catch(() => {});
      expect([...what, ...(await seen())]).toEqual([...what, than, than]);
    };
    const put = async (than: number | null) => {
      const isThere = than === null ? null : String(than);
      if (Bun.deepEquals(await seen(), [isThere, isThere])) return;
      await ownRule.run(context("setting"), input(than === null ? null : ruleOf(than)));
    };

    test.each([
      ["added", null, 100],
      ["replaced", 1, 100],
      ["removed", 1, null],
    ])(
      "that was to be %s is as wanted or as before, in Prometheus and in its file",
      async (what, former, wanted) => {
        const rule = wanted === null ? null : ruleOf(wanted);
        const before = former === null ? null : String(former);
        const after = wanted === null ? null : String(wanted);
        for (let at = 1, met = true; met; at++) {
          const dead = async (run: string): Promise<Context> => {
            await put(former);
            const node = dying(at);
            const ctx = context(run, node.nodes);
            await ownRule.run(ctx, input(rule)).catch(() => {});
            // In the end it dies when it has done all, and has not put that down.
            met = node.met();
            return ctx;
          };
          /** The same run in a new process. */
          const anew = ({ run, recorded }: Context): Context => {
            const ctx = context(run.id);
            ctx.recorded.notes.push(...recorded.notes);
            return ctx;
          };
          const resumed = await dead(`resumed-${at}`);
          await ownRule.run(anew(resumed), input(rule));
          await settled(after, [what, at, "resumed"]);

          const given = await dead(`given-${at}`);
          await ownRule.undo!(anew(given), input(rule), undefined);
          await settled(before, [what, at, "given up"]);

          const first = await dead(`first-${at}`);
          const again = context(`again-${at}`);
          const refused = await ownRule.run(again, input(rule)).then(
            () => null,
            (error: Error) => error.message,
          );
          // It is gone already.
          if (refused !== null)
            expect([what, refused]).toEqual(["removed", expect.stringContaining("no rule Much")]);
          await settled(after, [what, at, "again"]);
          await ownRule.undo!(anew(first), input(rule), undefined);
          await settled(refused === null ? after : before, [what, at, "again, and given up"]);
          expect(at).toBeLessThan(10);
        }
      },
    );
  });
});
