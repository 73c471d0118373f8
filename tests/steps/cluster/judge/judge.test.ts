import { describe, expect, test } from "bun:test";
import type { Gathered } from "../../../../steps/cluster/gather/cluster.ts";
import { besideOf } from "../../../../steps/cluster/judge/beside.ts";
import { draw } from "../../../../steps/cluster/judge/draw.ts";
import { sizeText } from "../../../../steps/cluster/judge/finding.ts";
import { findingsOf } from "../../../../steps/cluster/judge/findings.ts";
import { behind, holderOf, membersNow } from "../../../../steps/cluster/judge/members.ts";
import {
  api,
  no,
  ok,
  patroni,
  pooler,
  primary,
  route,
  seen,
  server,
  sound,
  stream,
  with_,
} from "./support.ts";

const NOW = new Date("2026-01-01T00:00:00Z");

function judged(g: Gathered, certificates: Parameters<typeof besideOf>[2] = []) {
  const holder = holderOf(g);
  const members = membersNow(g, holder);
  const beside = besideOf(g, holder, certificates, NOW);
  return {
    holder,
    members,
    beside,
    findings: findingsOf({ gathered: g, holder, members, beside }),
  };
}
const found = (g: Gathered, ...more: [Parameters<typeof besideOf>[2]?]): string[] =>
  judged(g, ...more).findings.map(
    ({ severity, check, object }) => `${severity} ${check}${object === null ? "" : ` ${object}`}`,
  );
const roles = (g: Gathered): string =>
  judged(g)
    .members.map(({ name, role }) => `${name} ${role}`)
    .join(", ");

test("nothing is found in a sound cluster", () => {
  const { holder, findings } = judged(sound());
  expect([holder, findings]).toEqual([{ name: "pg1", by: "member" }, []]);
  expect(roles(sound())).toBe("pg1 leader, pg2 replica, pg3 replica");
});

/** The one finding of that name. */
const one = (g: Gathered, check: string) => judged(g).findings.find((f) => f.check === check)!;

test("while the leader is silent it is told what happens by itself, and when", () => {
  const silent = (key: number | null, pause = false) =>
    with_({ pg1: seen("pg1", null, { api: api({}, true) }) }, {
      dcs: {
        health: ok({ quorum: true, revision: "1", members: [], alarms: [] }),
        leader: ok({ holder: "pg1", revision: "1", ttlSeconds: key }),
      },
      ...(pause ? { patroni: ok({ ...patroni("pg1")!.value!, pause: true }) } : {}),
    } as Partial<Gathered>);
  expect(one(silent(11.2), "leader-down").remedy.text).toMatch(/by itself .* runs out, in 12 s\./);
  expect(one(silent(null), "leader-down").remedy.text).toContain("runs out. Where none does");
  expect(one(silent(11, true), "leader-down").remedy.text).toContain("Patroni is paused");
});

test("a pause is told with its end, and with what ends it", () => {
  const by = (holder: string) =>
    one(
      sound({ pgbouncers: [pooler({}, route("pg1", { paused: { holder, leftMs: 4200 } }))] }),
      "pgbouncer-paused",
    ).remedy.text;
  expect(by("operator")).toBe(
    "It lets them go by itself in 5 s; sooner by pgdba pgbouncer resume.",
  );
  expect(by("run-7")).toContain("pgdba pgbouncer resume --holder run-7, when");
  expect(by("the night's job")).not.toContain("--holder the");
});

test("a member that does not come up by itself is brought back, or made anew", () => {
  const nodes = ok([{ node: "pg2", roles: ["postgres"], state: { running: "running" } }]) as never;
  const down = (more: object) =>
    one(with_({ pg2: seen("pg2", null) }, more), "member-down").remedy.text;
  expect(down({ nodes })).toContain("pgdba replica rejoin pg2 --yes");
  expect(down({ nodes })).toContain("pgdba replica reinit pg2 --yes");
  expect(down({ nodes: null })).not.toContain("rejoin");
});

test("a node that is stopped is told once, with how it is started", () => {
  const down = with_(
    { pg2: seen("pg2", null, { api: { ...api({}), status: no() } as never }) },
    {
      nodes: ok([{ node: "pg2", roles: ["postgres"], state: { running: "stopped" } }]) as never,
    },
  );
  const about = judged(down).findings.filter(({ object }) => object === "pg2");
  expect(about.map(({ check }) => check)).toEqual(["member-down"]);
  expect(about[0]!.remedy.text).toContain("pgdba replica rejoin pg2 --yes");
});

test("a cluster that is stopped is started as one", () => {
  const names = ["pg1", "pg2", "pg3"];
  const silent = { ...api({}), status: no(), leads: null } as never;
  const stopped = sound({
    patroni: no() as never,
    members: names.map((name) => seen(name, null, { api: silent })),
    nodes: ok(names.map((node) => ({ node, roles: [], state: { running: "stopped" } }))) as never,
  });
  const texts = judged(stopped).findings.map(({ check, remedy }) => `${check}: ${remedy.text}`);
  expect(texts.filter((text) => text.includes("pgdba cluster start"))).toHaveLength(4);
  expect(texts.join()).not.toContain("rejoin");
});

describe("who holds the leader key", () => {
  const key = (holder: string | null): Gathered["dcs"] => ({
    health: ok({ quorum: true, revision: "1", members: [], alarms: [] }),
    leader: ok(holder === null ? null : { holder, revision: "1", ttlSeconds: 20 }),
  });
  test.each([
    ["the store says it", sound({ dcs: key("pg2") }), "pg2", "dcs"],
    ["the store says that nobody does", sound({ dcs: key(null) }), null, "dcs"],
    [
      "the leader itself, before what the others have read",
      sound({ patroni: patroni("pg2") }),
      "pg1",
      "member",
    ],
    [
      "what the others have read, where the leader's own Patroni is silent",
      with_({ pg1: seen("pg1", primary()) }),
      "pg1",
      "patroni",
    ],
    [
      "nobody, when the one that the others name denies it",
      with_({ pg1: seen("pg1", server(), { api: api({}) }) }),
      null,
      "member",
    ],
    [
      "who takes writes, without Patroni",
      sound({ patroni: null, members: [seen("a", primary()), seen("b", server())] }),
      "a",
      "sql",
    ],
    [
      "the latest timeline of two that take writes",
      sound({
        patroni: null,
        members: [seen("a", primary()), seen("b", primary({ timeline: 4 }))],
      }),
      "b",
      "sql",
    ],
    [
      "nobody, where two take writes while Patroni is silent",
      sound({
        patroni: no(),
        members: [seen("a", primary()), seen("b", primary({ timeline: 4 }))],
      }),
      null,
      "nobody",
    ],
    [
      "nobody, where two take writes on one timeline",
      sound({ patroni: null, members: [seen("a", primary()), seen("b", primary())] }),
      null,
      "nobody",
    ],
  ] as const)("%s", (_, g, name, by) => {
    expect(holderOf(g)).toEqual({ name, by });
  });
});

test("what takes writes without the key is unfenced, also by the word of its Patroni alone", () => {
  const sql = with_({ pg3: seen("pg3", primary({ streams: [], timeline: 2 }), { api: api({}) }) });
  expect(roles(sql)).toBe("pg1 leader, pg2 replica, pg3 unfenced");
  expect(found(sql)).toContain("critical unfenced pg3");
  const word = with_({ pg3: seen("pg3", null, { api: api({ role: "master" }) }) });
  expect(roles(word)).toBe("pg1 leader, pg2 replica, pg3 unfenced");
  const none = with_({ pg1: seen("pg1", primary(), { api: api({ role: "primary" }) }) });
  expect([judged(none).holder.name, found(none)[0]]).toEqual([null, "critical unfenced pg1"]);
  // A standby leader is in recovery, and leads all the same.
  const standby = with_(
    {
      pg1: seen("pg1", server({ streams: [stream("pg2"), stream("pg3")] }), {
        api: api({ role: "standby_leader" }, true),
      }),
    },
    { patroni: patroni("pg1", {}, { pg1: { role: "standby_leader" } }) },
  );
  expect(roles(standby)).toStartWith("pg1 standby_leader");
});

test("roles and lag are what the leader's server says now, not what was read a loop ago", () => {
  const g = with_(
    {
      pg1: seen(
        "pg1",
        primary({
          lsn: "0/3000000",
          streams: [
            stream("pg2", { sync_state: "sync", replay_lag_ms: 12 }),
            stream("pg3", { sync_state: "quorum" }),
          ],
        }),
        { api: api({ role: "primary" }, true) },
      ),
      pg2: seen("pg2", server({ receive_lsn: "0/3000000", replay_lsn: "0/2FFFFF0" }), {
        api: api({}),
      }),
    },
    { patroni: patroni("pg1", {}, { pg2: { lag: 0 }, pg3: { lag: 0 } }) },
  );
  expect(roles(g)).toBe("pg1 leader, pg2 sync_standby, pg3 quorum_standby");
  const [, pg2, pg3] = judged(g).members;
  expect(pg2).toMatchObject({
    receive_lag_bytes: 0,
    replay_lag_bytes: 16,
    replay_lag_ms: 12,
    streams_from: "pg1",
  });
  expect(pg3).toMatchObject({ receive_lag_bytes: 16 * 1024 ** 2 });
  expect(found(g)).toEqual(["warning lag pg3"]);
  expect([behind("0/10", "0/20"), behind(null, "0/20"), behind("1/0", "0/FFFFFFFF")]).toEqual([
    0,
    null,
    1,
  ]);
});

describe("each trouble is found, with its severity", () => {
  const lead = { api: api({ role: "primary" }, true) };
  const slot = {
    name: "s",
    type: "logical",
    active: false,
    wal_status: "reserved",
    retained_bytes: 0,
  };
  const archive = (more: object): Gathered =>
    with_({ pg1: seen("pg1", primary({ archive: { ...server().archive, ...more } }), lead) });
  const health = (more: object): Gathered["dcs"] => ({
    health: ok({ quorum: true, revision: "1", members: [], alarms: [], ...more }),
    leader: ok({ holder: "pg1", revision: "1", ttlSeconds: 20 }),
  });
  const etcd = (name: string, reachable: boolean) => ({
    name,
    endpoint: null,
    reachable,
    why: null,
    leader: false,
    version: null,
    dbBytes: null,
  });
  const disk = (freeBytes: number): Gathered =>
    with_({
      pg2: seen("pg2", server(), {
        api: api({}),
        facts: ok({ disks: [{ of: "data", path: "/data", totalBytes: 1000, freeBytes }] } as never),
      }),
    });
  test.each([
    [
      "no leader",
      with_({ pg1: seen("pg1", server(), { api: api({}) }) }, { patroni: patroni(null) }),
      ["critical no-leader"],
    ],
    [
      "the leader is silent",
      with_({ pg1: seen("pg1", null, { api: api({}, true) }) }),
      ["critical leader-down pg1"],
    ],
    [
      "no standby is left",
      with_({ pg2: seen("pg2", null, { api: api({}) }), pg3: seen("pg3", null, { api: api({}) }) }),
      ["critical no-candidate", "warning member-down pg2", "warning member-down pg3"],
    ],
    [
      "those that are left may not lead",
      sound({
        patroni: patroni(
          "pg1",
          {},
          { pg2: { tags: { nofailover: true } }, pg3: { tags: { nofailover: true } } },
        ),
      }),
      ["critical no-candidate"],
    ],
    [
      "a standby receives nothing",
      with_({
        pg1: seen("pg1", primary({ streams: [stream("pg3")] }), lead),
        pg2: seen("pg2", server({ receiver: null }), { api: api({}) }),
      }),
      ["warning not-streaming pg2"],
    ],
    [
      "a standby is on another timeline",
      with_({ pg2: seen("pg2", server({ timeline: 2 }), { api: api({}) }) }),
      ["warning timeline pg2"],
    ],
    [
      "a standby is behind what the configuration allows",
      with_(
        {
          pg2: seen("pg2", server({ receive_lsn: "0/1FFFF00", replay_lsn: "0/1FFFF00" }), {
            api: api({}),
          }),
        },
        { config: ok({ maximum_lag_on_failover: 100 }) },
      ),
      ["warning lag pg2"],
    ],
    [
      "replay is late",
      with_({ pg2: seen("pg2", server({ replay_lsn: "0/1000000" }), { api: api({}) }) }),
      ["warning replay-lag pg2"],
    ],
    [
      "replay is paused",
      with_({ pg2: seen("pg2", server({ replay_paused: true }), { api: api({}) }) }),
      ["warning replay-paused pg2"],
    ],
    [
      "a restart is pending",
      with_({
        pg2: seen("pg2", server({ pending_restart: ["max_connections"] }), { api: api({}) }),
      }),
      ["info pending-restart pg2"],
    ],
    [
      "the watchdog",
      with_({ pg2: seen("pg2", server(), { api: api({ watchdog_failed: true }) }) }),
      ["warning watchdog pg2"],
    ],
    [
      "one member's API",
      with_({ pg2: seen("pg2", server(), { api: { url: "u", status: no(), leads: null } }) }),
      ["warning api-down pg2"],
    ],
    [
      "all of Patroni",
      sound({
        patroni: no(),
        config: null,
        members: [seen("pg1", primary()), seen("pg2", server()), seen("pg3", server())],
      }),
      ["critical patroni-down"],
    ],
    ["a pause", sound({ patroni: patroni("pg1", { pause: true }) }), ["warning paused"]],
    [
      "failsafe",
      with_({
        pg1: seen("pg1", primary(), {
          api: api({ role: "primary", failsafe_mode_is_active: true }, true),
        }),
      }),
      ["critical failsafe"],
    ],
    [
      "no synchronous standby",
      sound({ config: ok({ synchronous_mode: true }) }),
      ["warning no-sync-standby"],
    ],
    [
      "none, and commits wait",
      sound({ config: ok({ synchronous_mode: "quorum", synchronous_mode_strict: true }) }),
      ["critical no-sync-standby"],
    ],
    [
      "the only synchronous standby stands still, and commits wait",
      with_(
        {
          pg1: seen(
            "pg1",
            primary({ streams: [stream("pg2", { sync_state: "sync" }), stream("pg3")] }),
            lead,
          ),
          pg2: seen("pg2", null, { api: null }),
        },
        {
          config: ok({ synchronous_mode: true }),
          nodes: ok([{ node: "pg2", roles: ["postgres"], state: { running: "frozen" } }]) as never,
        },
      ),
      ["critical sync-standby-down pg2", "warning member-down pg2", "warning api-down pg2"],
    ],
    ["the DCS is silent", sound({ dcs: { health: no(), leader: no() } }), ["critical dcs-down"]],
    [
      "no quorum",
      sound({
        dcs: health({
          quorum: false,
          members: [etcd("e1", true), etcd("e2", false), etcd("e3", false)],
        }),
      }),
      ["critical dcs-quorum"],
    ],
    [
      "one of the DCS",
      sound({ dcs: health({ members: [etcd("e1", true), etcd("e2", true), etcd("e3", false)] }) }),
      ["warning dcs-member"],
    ],
    ["an alarm", sound({ dcs: health({ alarms: ["NOSPACE"] }) }), ["critical dcs-alarm"]],
    [
      "a lost slot",
      with_({ pg1: seen("pg1", primary({ slots: [{ ...slot, wal_status: "lost" }] }), lead) }),
      ["critical slot-lost s"],
    ],
    [
      "a slot near it",
      with_({
        pg1: seen("pg1", primary({ slots: [{ ...slot, wal_status: "unreserved" }] }), lead),
      }),
      ["warning slot-unreserved s"],
    ],
    [
      "a slot that nobody reads",
      with_({ pg1: seen("pg1", primary({ slots: [{ ...slot, retained_bytes: 2 ** 31 }] }), lead) }),
      ["warning slot-idle s"],
    ],
    [
      "the node that takes scheduled backups is stopped",
      sound({
        nodes: ok([
          { node: "scheduler1", roles: ["backup"], state: { running: "stopped" } },
          { node: "scheduler2", roles: ["backup"], state: { running: "running" } },
        ]) as never,
      }),
      ["warning scheduler-down scheduler1"],
    ],
    [
      "PgBouncer is silent",
      sound({ pgbouncers: [{ ...pooler({}), pools: no() }] }),
      ["critical pgbouncer-down pgbouncer1"],
    ],
    [
      "PgBouncer can't be asked at all",
      sound({ pgbouncerWhy: "Not set: PW" }),
      ["critical pgbouncer-down"],
    ],
    [
      "its follower is silent",
      sound({ pgbouncers: [pooler({}, no())] }),
      ["warning follower-down pgbouncer1"],
    ],
    [
      "its route is wrong",
      sound({ pgbouncers: [pooler({}, route("pg2"))] }),
      ["critical route pgbouncer1"],
    ],
    [
      "its follower lets clients nowhere",
      sound({ pgbouncers: [pooler({}, route(null))] }),
      ["critical route pgbouncer1"],
    ],
    [
      "it holds clients back",
      sound({
        pgbouncers: [
          pooler(
            { cl_waiting: 3, maxwait: 9 },
            route("pg1", { paused: { holder: "run-1", leftMs: 5 } }),
          ),
        ],
      }),
      ["warning pgbouncer-paused pgbouncer1"],
    ],
    [
      "it is paused at its console",
      sound({ pgbouncers: [pooler({}, route("pg1", { clients: "wait", why: "somebody else" }))] }),
      ["critical pgbouncer-paused pgbouncer1"],
    ],
    [
      "it is paused and has no follower",
      sound({
        pgbouncers: [{ ...pooler({}), state: ok([{ key: "paused", value: "yes" }]) }],
      }),
      ["critical pgbouncer-paused pgbouncer1"],
    ],
    [
      "it will let clients go in a moment",
      sound({ pgbouncers: [pooler({}, route("pg1", { clients: "wait" }))] }),
      [],
    ],
    [
      "clients wait",
      sound({ pgbouncers: [pooler({ cl_waiting: 3, maxwait: 9 }, route("pg1"))] }),
      ["warning clients-wait pgbouncer1"],
    ],
    [
      "clients wait for a moment",
      sound({ pgbouncers: [pooler({ cl_waiting: 3, maxwait: 1 }, route("pg1"))] }),
      [],
    ],
    [
      "a member that was removed is still listed",
      sound({ removed: ["pg4"] }),
      ["info removed-member pg4"],
    ],
    ["room enough", disk(100), []],
    ["little room", disk(99), ["warning disk pg2"]],
    ["no room", disk(49), ["critical disk pg2"]],
    ["WAL is discarded", archive({ command: "/bin/true" }), ["warning archive-discards pg1"]],
    ["archiving is off", archive({ mode: "off" }), ["warning archive-discards pg1"]],
    [
      "archiving fails",
      archive({ last_failed_at: "2026-01-02T00:00:00Z" }),
      ["warning archive-failing pg1"],
    ],
    ["archiving failed once", archive({ last_failed_at: "2025-01-02T00:00:00Z" }), []],
  ] as [string, Gathered, string[]][])("%s", (_, g, wanted) => {
    expect(found(g)).toEqual(wanted);
    for (const { message, remedy } of judged(g).findings) {
      expect(message.length).toBeGreaterThan(5);
      expect(remedy.text.length).toBeGreaterThan(10);
    }
  });

  test("slots that standbys keep for other members are shown when they hold back WAL, or are used", () => {
    const spare = {
      name: "pg3",
      type: "physical",
      active: false,
      wal_status: "reserved",
      retained_bytes: 0,
    };
    const slots = ["spare", "used", "full", "lost"].map((name) => ({ ...spare, name }) as any);
    slots[1].active = true;
    slots[2].retained_bytes = 2 ** 30;
    slots[3].wal_status = "lost";
    const g = with_({
      pg1: seen("pg1", primary({ slots: [slots[0]] }), { api: api({ role: "primary" }, true) }),
      pg2: seen("pg2", server({ slots }), { api: api({}) }),
    });
    expect(judged(g).beside.slots.map(({ member, name }) => `${member} ${name}`)).toEqual([
      "pg1 spare",
      "pg2 used",
      "pg2 full",
      "pg2 lost",
    ]);
  });

  test("certificates that are soon over", () => {
    const until = (notAfter: string) => [
      {
        member: "pg1",
        of: "Patroni" as const,
        certificate: { subject: "pg1", issuer: "ca", notAfter },
      },
    ];
    expect(found(sound(), until("2026-03-01T00:00:00Z"))).toEqual([]);
    expect(found(sound(), until("2026-01-20T00:00:00Z"))).toEqual(["warning certificate pg1"]);
    expect(found(sound(), until("2026-01-05T00:00:00Z"))).toEqual(["critical certificate pg1"]);
    expect(judged(sound(), until("2025-12-31T00:00:00Z")).findings[0]?.title).toBe(
      "A certificate has expired",
    );
  });

  test.each([
    ["", false],
    ["(disabled)", false],
    ["/bin/true", false],
    ["true", false],
    [":", false],
    ["exit 0", false],
    ["cd .", false],
    ["echo skip", false],
    ["cp %p /archive/%f", true],
    ["echo x && cp %p /a/%f", true],
    ["test ! -f /a/%f && cp %p /a/%f", true],
    ["truely %p", true],
    [null, null],
  ] as [string | null, boolean | null][])(
    "archive_command %p keeps the WAL: %p",
    (command, kept) => {
      expect(judged(archive({ command })).beside.archive?.kept).toBe(kept);
    },
  );
});

test("the cluster is drawn as it streams, with a mark for the worst of each", () => {
  const g = with_(
    {
      pg1: seen("pg1", primary({ streams: [stream("pg2", { sync_state: "sync" })] }), {
        api: api({ role: "primary" }, true),
      }),
      pg2: seen("pg2", server({ streams: [stream("pg3")] }), { api: api({}) }),
      pg3: seen("pg3", server({ receive_lsn: "0/0", replay_lsn: "0/0" }), { api: api({}) }),
    },
    { pgbouncers: [pooler({ cl_active: 4 }, route("pg1"))] },
  );
  const { holder, members, beside, findings } = judged(g);
  expect(
    draw({
      head: ["main", "timeline 3"],
      holder,
      members,
      pgbouncers: beside.pgbouncers,
      findings,
    }).split("\n"),
  ).toEqual([
    "main · timeline 3",
    "",
    "  ● pgbouncer1  h:6432        4 clients  → pg1",
    "  ● pg1         leader        running    pg1:5432  timeline 3  0/2000000",
    "  └─ ● pg2      sync standby  streaming  pg2:5432  timeline 3  no lag",
    "     └─ ▲ pg3   replica       streaming  pg3:5432  timeline 3  32.0 MB behind",
    "",
  ]);
  expect([0, 1023, 1024, 150 * 1024, 1.5 * 1024 ** 4].map(sizeText)).toEqual([
    "0 B",
    "1023 B",
    "1.0 kB",
    "150 kB",
    "1.5 TB",
  ]);
});

test("a fault that a drill has left is told, the worse the less it ends by itself", () => {
  const left = (state: string) =>
    sound({
      faults: ok([
        {
          id: "freeze-1",
          node: "pg2",
          labels: { run: "r1", path: "inject" },
          inverse: { thaw: "pg2" },
          deadline: "2026-01-01T00:02:00Z",
          state,
          why: "nobody",
        } as never,
      ]),
    });
  expect(["armed", "healed", "failed", "lost"].flatMap((state) => found(left(state)))).toEqual([
    "warning fault-armed pg2",
    "info fault-healed pg2",
    "critical fault-failed pg2",
    "critical fault-lost pg2",
  ]);
  expect(one(left("lost"), "fault-lost").remedy.text).toContain("chaos heal --all");
});
