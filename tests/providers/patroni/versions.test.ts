import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Client } from "pg";
import { PgdbaError } from "../../../engine/errors.ts";
import { type PatroniClient, patroniClient } from "../../../providers/patroni/client.ts";
import { isLeader, type PatroniMember } from "../../../providers/patroni/members.ts";
import {
  type PatroniCluster,
  patroniMissing,
  patroniTree,
  startPatroni,
} from "../../support/patroni.ts";

const missing = patroniMissing();
/** Debian 12's own, that of Debian 13, and that of Debian 14. */
const VERSIONS = ["3.0.2", "4.0.7", "4.1.5"];

for (const version of VERSIONS) {
  const found =
    missing !== null
      ? { missing }
      : version === "3.0.2"
        ? { tree: undefined }
        : await patroniTree(version);
  const why = "missing" in found ? ` (${found.missing})` : "";
  describe.skipIf(why !== "")(`Patroni ${version}${why}`, () =>
    suite(version, "tree" in found ? found.tree : undefined),
  );
}

function suite(version: string, tree: string | undefined): void {
  let cluster: PatroniCluster;
  let client: PatroniClient;

  beforeAll(async () => {
    cluster = await startPatroni(3, { tree });
    const endpoints = cluster.members.map(({ api }) => api);
    const { apiUser: user, apiPassword: password } = cluster;
    client = await patroniClient({ endpoints, user, password }, { patienceMs: 5_000 });
  }, 300_000);
  afterAll(() => cluster?.stop());

  async function roles(): Promise<{ leader: PatroniMember; standbys: PatroniMember[] }> {
    const { members } = await client.cluster();
    const leader = members.find(isLeader);
    if (leader === undefined) throw new Error("nobody leads");
    return { leader, standbys: members.filter((member) => member !== leader) };
  }
  const numberOf = ({ name }: PatroniMember): number =>
    cluster.members.findIndex((member) => member.name === name);
  async function sql({ host, port }: PatroniMember, text: string): Promise<any> {
    const { user, password } = cluster;
    const pg = new Client({ host, port, user, password, database: "postgres" });
    await pg.connect();
    try {
      return (await pg.query(text)).rows[0];
    } finally {
      await pg.end();
    }
  }
  /** Waits until all standbys have received all that the leader has written, by their own words. */
  async function streaming(): Promise<void> {
    await until(async () => {
      const { leader, standbys } = await roles();
      const { replication, xlog } = await client.status(leader.api);
      const own = await Promise.all(standbys.map(({ api }) => client.status(api)));
      return standbys.every(
        ({ name }, n) =>
          replication.some((one) => one.application_name === name && one.state === "streaming") &&
          own[n]?.state === "running" &&
          (own[n]?.xlog?.received_location ?? 0) >= (xlog?.location ?? Infinity),
      );
    });
  }

  test("the cluster, the members and their own words have one shape", async () => {
    // A member tells its position to the store in its next loop.
    await until(async () => (await roles()).standbys.every(({ lag }) => lag !== "unknown"));
    const seen = await client.cluster();
    expect(seen).toMatchObject({ pause: false, scheduled_switchover: null });
    expect(seen.members.map(({ name }) => name)).toEqual(["pg1", "pg2", "pg3"]);
    const { leader, standbys } = await roles();
    expect(seen.leader).toBe(leader.name);
    expect([leader.timeline, leader.lag]).toEqual([1, null]);
    expect(standbys.every(({ lag, role }) => typeof lag === "number" && role === "replica")).toBe(
      true,
    );
    // From 4.1 on.
    const tells = version.startsWith("4.1");
    expect(standbys.every(({ receive_lsn: at }) => (at !== null) === tells)).toBe(true);

    const own = await client.status(leader.api);
    expect(own).toMatchObject({ state: "running", role: "primary", timeline: 1, pause: false });
    expect([own.patroni.version, own.patroni.scope]).toEqual([version, "test"]);
    expect(own.xlog?.location).toBeGreaterThan(0);
    expect(own.replication.map(({ application_name: name }) => name).toSorted()).toEqual(
      standbys.map(({ name }) => name),
    );
    expect(own.database_system_identifier).toMatch(/^\d+$/);
    expect(own.dcs_last_seen).toBeGreaterThan(1_600_000_000);
    const other = await client.status(standbys[0]!.api);
    expect(other.role).toBe("replica");
    expect(other.xlog).toMatchObject({ location: null, paused: false });
    expect(other.xlog?.received_location).toBeGreaterThan(0);
  });

  test("the checks of load balancers", async () => {
    const { leader, standbys } = await roles();
    const asked = ["primary", "leader", "replica", "liveness", "readiness", "health"] as const;
    const answers = (api: string) => Promise.all(asked.map((check) => client.check(api, check)));
    expect(await answers(leader.api)).toEqual([true, true, false, true, true, true]);
    expect(await answers(standbys[0]!.api)).toEqual([false, false, true, true, true, true]);
  });

  test("writers of the configuration don't lose each other's parts, and all of it can be replaced", async () => {
    const before = await client.config();
    const { parameters } = before["postgresql"] as { parameters: object };
    await Promise.all([
      client.patchConfig({ maximum_lag_on_failover: 2_097_152 }),
      client.patchConfig({ postgresql: { parameters: { work_mem: "7MB" } } }),
    ]);
    // The configuration that is read is up to a loop old.
    const settled = (config: object) =>
      until(async () => Bun.deepEquals(await client.config(), config));
    const both = {
      ...before,
      maximum_lag_on_failover: 2_097_152,
      postgresql: { parameters: { ...parameters, work_mem: "7MB" } },
    };
    await settled(both);
    expect(await client.patchConfig({})).toEqual(both);
    expect(await client.putConfig(before)).toEqual(before);
    await settled(before);
  });

  test("a pause is taken by every member, and ends so", async () => {
    expect(await client.pause()).toEqual({ pause: true, already: false, behind: [], silent: [] });
    const { members, pause } = await client.cluster();
    expect(pause).toBe(true);
    const said = await Promise.all(members.map(({ api }) => client.status(api)));
    expect(said.map((one) => one.pause)).toEqual([true, true, true]);
    expect((await client.pause()).already).toBe(true);
    // Without a candidate Patroni refuses in a pause.
    const { leader } = await roles();
    expect(await refusal(client.switchover({ leader: leader.name }))).toEqual([
      "step_refused",
      400,
    ]);
    expect(await client.resume()).toEqual({ pause: false, already: false, behind: [], silent: [] });
  });

  test("what Patroni refuses is told as such, and nothing happens", async () => {
    const { leader, standbys } = await roles();
    const [candidate] = standbys.map(({ name }) => name);
    const at = (scheduled_at: string) =>
      refusal(client.switchover({ leader: leader.name, candidate, scheduled_at }));
    expect(await at("2020-01-01T00:00:00Z")).toEqual(["step_refused", 422]);
    expect(await at("2099-01-01T00:00:00")).toEqual(["step_refused", 400]);
    const to = (name: string) =>
      refusal(client.switchover({ leader: leader.name, candidate: name }));
    expect(await to("nobody")).toEqual(["step_refused", 412]);
    expect(await refusal(client.switchover({ leader: candidate! }))).toEqual([
      "step_refused",
      undefined,
    ]);
    const { endpoints } = { endpoints: [leader.api] };
    const stranger = await patroniClient({ endpoints, user: "admin", password: "wrong" });
    expect(await refusal(stranger.switchover({ leader: leader.name, candidate }))).toEqual([
      "http_failed",
      401,
    ]);
    expect(await refusal(stranger.pause())).toEqual(["http_failed", 401]);
    expect((await roles()).leader.name).toBe(leader.name);
  });

  test("a switchover is scheduled and cancelled", async () => {
    const { leader, standbys } = await roles();
    const candidate = standbys[0]!.name;
    const wanted = { leader: leader.name, candidate, scheduled_at: "2099-01-01T00:00:00+02:00" };
    const { scheduled, ...moved } = await client.switchover(wanted);
    expect(moved).toEqual({ leader: null, asked: candidate, as_asked: true });
    expect(scheduled).toMatchObject({ from: leader.name, to: candidate });
    expect((await client.cluster()).scheduled_switchover).toEqual(scheduled);
    expect(Date.parse(scheduled?.at ?? "")).toBe(Date.parse(wanted.scheduled_at));
    expect(await client.cancelSwitchover()).toBe(true);
    expect(await client.cancelSwitchover()).toBe(false);
    expect((await client.cluster()).scheduled_switchover).toBeNull();
  });

  test("a member reads its own configuration again, and its tag keeps it from taking over", async () => {
    const { leader, standbys } = await roles();
    const other = standbys[1]!;
    await cluster.configure(numberOf(other), { tags: { nofailover: true } });
    await client.reload(other.api);
    await until(async () => (await client.status(other.api)).tags["nofailover"] === true);
    await until(async () =>
      (await client.members()).some(({ tags }) => tags["nofailover"] === true),
    );
    const wanted = { leader: leader.name, candidate: other.name };
    expect(await refusal(client.switchover(wanted))).toEqual(["step_refused", 412]);
    await cluster.configure(numberOf(other), {});
    await client.reload(other.api);
    await until(async () => (await client.status(other.api)).tags["nofailover"] !== true);
  });

  test("a switchover that Patroni gives up is told as failed: the candidate is too far behind", async () => {
    const { leader, standbys } = await roles();
    const candidate = standbys[0]!;
    const { pid } = await sql(candidate, "SELECT pid FROM pg_stat_wal_receiver");
    process.kill(pid, "SIGSTOP");
    try {
      await sql(
        leader,
        "CREATE TABLE IF NOT EXISTS filler AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)",
      );
      await until(async () =>
        (await client.members()).some(
          ({ name, lag }) => name === candidate.name && typeof lag === "number" && lag > 2_000_000,
        ),
      );
      const wanted = { leader: leader.name, candidate: candidate.name };
      expect(await refusal(client.switchover(wanted))).toEqual(["step_failed", 503]);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    expect((await roles()).leader.name).toBe(leader.name);
    await streaming();
  });

  test("a switchover and a failover tell who leads, as soon as it does, and the history says so", async () => {
    const { leader, standbys } = await roles();
    const [candidate] = standbys;
    const moved = await client.switchover({ leader: leader.name, candidate: candidate!.name });
    const as_asked = { leader: candidate!.name, asked: candidate!.name, as_asked: true };
    expect(moved).toEqual({ ...as_asked, scheduled: null });
    expect((await client.status(candidate!.api)).role).toBe("primary");
    await streaming();
    await until(async () => (await client.history()).at(-1)?.at != null);
    const [line] = await client.history();
    expect(line).toMatchObject({ timeline: 1, leader: candidate!.name });
    expect(line!.lsn).toBeGreaterThan(0);
    expect(Date.parse(line!.at!)).toBeGreaterThan(Date.now() - 60_000);
    // To one that leads already nothing is to be done.
    expect(await client.failover({ candidate: candidate!.name })).toMatchObject(as_asked);
    const back = await client.failover({ candidate: leader.name });
    expect(back).toMatchObject({ leader: leader.name, as_asked: true });
    await streaming();
  });

  test("a standby is made anew; the leader is not", async () => {
    const { leader, standbys } = await roles();
    expect(await refusal(client.reinitialize(leader.api, {}))).toEqual(["step_refused", 503]);
    const standby = standbys[0]!;
    if (!version.startsWith("4.1"))
      expect(await refusal(client.reinitialize(standby.api, { from_leader: true }))).toEqual([
        "unsupported",
        undefined,
      ]);
    const before = await client.status(standby.api);
    await client.reinitialize(standby.api, { from_leader: version.startsWith("4.1") });
    await until(async () => {
      const { state, postmaster_start_time: now } = await client.status(standby.api);
      return state === "running" && now !== null && now !== before.postmaster_start_time;
    });
    await streaming();
  });

  test("a member is restarted", async () => {
    const standby = (await roles()).standbys[0]!;
    const before = await client.status(standby.api);
    await client.restart(standby.api, 30_000);
    const after = await client.status(standby.api);
    expect(after.postmaster_start_time).not.toBe(before.postmaster_start_time);
    await streaming();
  });

  test("a member that is frozen keeps nobody waiting", async () => {
    const { leader, standbys } = await roles();
    const frozen = numberOf(standbys[0]!);
    const { apiUser: user, apiPassword: password } = cluster;
    const endpoints = [standbys[0]!.api, leader.api];
    const fresh = await patroniClient({ endpoints, user, password });
    await cluster.signal(frozen, "SIGSTOP");
    try {
      const began = performance.now();
      expect((await fresh.cluster()).leader).toBe(leader.name);
      expect(performance.now() - began).toBeLessThan(5_000);
      // What changes something goes to the one that answered.
      expect(await fresh.patchConfig({ master_start_timeout: null })).toMatchObject({ ttl: 20 });
      const paused = await fresh.pause();
      expect(paused).toEqual({
        pause: true,
        already: false,
        behind: [],
        silent: [standbys[0]!.name],
      });
    } finally {
      await cluster.signal(frozen, "SIGCONT");
    }
    expect(await fresh.resume()).toMatchObject({ pause: false, behind: [], silent: [] });
  });
}

async function refusal(asked: Promise<unknown>): Promise<unknown[]> {
  const error: unknown = await asked.then(
    (given) => new Error(`not refused: ${JSON.stringify(given)}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PgdbaError)) throw error;
  return [error.code, (error.data as { status?: number } | undefined)?.status];
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const ends = performance.now() + 30_000;
  while (!(await holds().catch(() => false))) {
    if (performance.now() > ends) throw new Error(`never came: ${holds.toString()}`);
    await Bun.sleep(100);
  }
}
