import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import { type Ha, haMissing, startHa } from "../../support/ha.ts";
import { servingOf, stopServing } from "./serving.ts";

setDefaultTimeout(180_000);
const missing = haMissing();

const PRIMARY = { status: 200, role: "primary" };
const WRITABLE = "SELECT 1 WHERE NOT pg_is_in_recovery()";

describe.skipIf(missing !== null)(
  `the probes of a cluster${missing === null ? "" : ` (${missing})`}`,
  () => {
    let ha: Ha;

    beforeAll(async () => {
      ha = await startHa(3);
    });
    afterAll(async () => {
      await stopServing();
      await ha?.stop();
    });

    test("go on at the new leader, while the old one gives no answer", async () => {
      const target = await resolveTarget({
        flags: { cluster: "ha" },
        env: ha.env,
        stateDir: ha.home,
        onSecret: () => {},
      });
      const only = ["connections-used"];
      const { url } = await servingOf(target, { only, ttl: "1s" });
      const asked = async (path: string) => {
        const answer = await fetch(`${url}${path}`);
        return { status: answer.status, ...((await answer.json()) as object) };
      };
      const stand = async (at: number, signal: NodeJS.Signals) => {
        await ha.cluster.signal(at, signal);
        await ha.cluster.signalPostgres(at, signal);
      };
      expect(await asked("/healthz")).toMatchObject(PRIMARY);
      // The first one is gone for good; the connections to the second one stay open, and nothing comes by them.
      for (const how of ["crash", "freeze"]) {
        const [leader, others] = [await ha.leader(), await ha.standbys()];
        const at = ha.cluster.members.findIndex(({ name }) => name === leader);
        if (how === "crash") await ha.cluster.crash(at);
        else await stand(at, "SIGSTOP");
        await ha.until(async () => (await asked("/healthz")).status === 503, "it is missed");
        await ha.cluster.expireLeader();
        const writable = others.map(
          (name) => async () => (await ha.sql(name, WRITABLE)).length === 1 || Promise.reject(),
        );
        await ha.until(() => Promise.any(writable.map((asks) => asks())), "another leads");
        const back = async () => Bun.deepMatch(PRIMARY, await asked("/healthz"));
        await ha.until(back, `after a ${how} the new leader gives a sign of life`);
        expect(await asked("/readyz")).toMatchObject({ status: 200, server: { role: "primary" } });
        if (how === "freeze") await stand(at, "SIGCONT");
      }
    });
  },
);
