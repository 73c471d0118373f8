import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { DcsAccess, DcsSpec } from "../../../providers/dcs/contract.ts";
import { openDcs } from "../../../providers/dcs/open.ts";
import { type Etcd, etcdMissing, startEtcd } from "../../support/etcd.ts";
import { codeOf } from "../postgres/helpers.ts";

const missing = etcdMissing();
const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe.skipIf(missing !== null)(`etcd${missing === null ? "" : ` (${missing})`}`, () => {
  let etcd: Etcd;
  let spec: DcsSpec;
  let dcs: DcsAccess;
  let root: string;

  beforeAll(async () => {
    etcd = await startEtcd(3);
    spec = {
      kind: "etcd3",
      endpoints: etcd.members.map(({ url }) => url),
      scope: "main",
      namespace: "service",
      user: "patroni",
      password: "secret",
    };
    dcs = await openDcs(spec);
  }, 300_000);
  afterAll(() => etcd?.stop());

  const put = (key: string, value: string, lease?: string) =>
    etcd.call(
      "/kv/put",
      { key: base64(`/service/main/${key}`), value: base64(value), ...(lease && { lease }) },
      root,
    );
  const lease = async (seconds: number): Promise<string> =>
    (await etcd.call("/lease/grant", { TTL: String(seconds) }, root)).ID;

  test("without accounts the one that is named is not needed", async () => {
    expect(await dcs.leader()).toBeNull();
  });

  test("with accounts: the right one works, others are told apart", async () => {
    for (const [name, password] of [
      ["root", "toor"],
      ["patroni", "secret"],
      ["nobody", "none"],
    ]) {
      await etcd.call("/auth/user/add", { name, password });
      await etcd.call("/auth/role/add", { name });
      await etcd.call("/auth/user/grant", { user: name, role: name });
    }
    const range = { key: base64("/service/"), range_end: base64("/service0") };
    const perm = { permType: "READWRITE", ...range };
    await etcd.call("/auth/role/grant", { name: "patroni", perm });
    await etcd.call("/auth/enable", {});
    root = (await etcd.call("/auth/authenticate", { name: "root", password: "toor" })).token;
    const as = async (more: Partial<DcsSpec>) =>
      codeOf((await openDcs({ ...spec, ...more })).leader());
    expect(await as({ password: "wrong" })).toBe("insufficient_privilege");
    expect(await as({ user: "nobody", password: "none" })).toBe("insufficient_privilege");
    expect(await as({ user: undefined })).toBe("http_failed");
    // This one has learnt before that no token was needed.
    expect(await dcs.leader()).toBeNull();
    // Each account costs etcd a slow hash.
  }, 300_000);

  test("health: every member, its leader, and the revision that a majority confirms", async () => {
    const { quorum, revision, members, alarms } = await dcs.health();
    expect([quorum, alarms]).toEqual([true, []]);
    expect(Number(revision)).toBeGreaterThan(0);
    expect(
      members.map(({ name, endpoint, reachable }) => [name, endpoint, reachable]).toSorted(),
    ).toEqual(etcd.members.map(({ name, url }) => [name, url, true]));
    expect(members.filter(({ leader }) => leader)).toHaveLength(1);
    expect(members.every(({ version, dbBytes }) => version!.startsWith("3.") && dbBytes! > 0)).toBe(
      true,
    );
    // From one endpoint the others are found.
    const one = await openDcs({ ...spec, endpoints: [etcd.members[0]!.url] });
    expect((await one.health()).members.filter(({ reachable }) => reachable)).toHaveLength(3);
  });

  test("the leader key is removed when it is still the one that was seen", async () => {
    await put("leader", "pg1", await lease(3600));
    const key = await dcs.leader();
    expect(key).toMatchObject({ holder: "pg1" });
    expect(key!.ttlSeconds).toBeGreaterThan(3500);
    expect(await dcs.removeLeader(key!)).toBe(true);
    expect(await dcs.leader()).toBeNull();
    expect(await dcs.removeLeader(key!)).toBe(false);
  });

  test("it stays when it was renewed, is another's, has another lease, or was read by another process", async () => {
    const first = await lease(30);
    await put("leader", "pg1", first);
    await Bun.sleep(1100);
    const seen = (await dcs.leader())!;
    // As Patroni does: the lease is renewed, and the revision of the key stays.
    await etcd.call("/lease/keepalive", { ID: first }, root);
    expect(await dcs.removeLeader(seen)).toBe(false);
    const renewed = (await dcs.leader())!;
    expect(renewed.revision.split("/").slice(0, 2)).toEqual(seen.revision.split("/").slice(0, 2));
    expect(await dcs.removeLeader({ ...renewed, holder: "pg2" })).toBe(false);
    const elsewhere = renewed.revision.replace(/[^/]*$/, "other");
    expect(await dcs.removeLeader({ ...renewed, revision: elsewhere })).toBe(false);
    await put("leader", "pg1", await lease(30));
    expect(await dcs.removeLeader(renewed)).toBe(false);
    expect(await dcs.leader()).toMatchObject({ holder: "pg1" });
    expect(await dcs.removeLeader((await dcs.leader())!)).toBe(true);
  });

  test("a scope is saved, removed, and put back where there is none, without what lives by its holder", async () => {
    await put("config", '{"ttl":20}');
    await put("initialize", "7");
    await put("leader", "pg1", await lease(30));
    await put("members/pg1", "{}", await lease(30));
    await etcd.call("/kv/put", { key: base64("/service/main2/config"), value: base64("x") }, root);
    const saved = await dcs.save();
    expect(saved).toEqual({
      config: '{"ttl":20}',
      initialize: "7",
      leader: "pg1",
      "members/pg1": "{}",
    });
    expect(await codeOf(dcs.restore(saved))).toBe("step_refused");
    await dcs.remove();
    expect(await dcs.save()).toEqual({});
    const other = await openDcs({ ...spec, scope: "main2" });
    expect(await other.save()).toEqual({ config: "x" });
    await dcs.restore(saved);
    expect(await dcs.save()).toEqual({ config: '{"ttl":20}', initialize: "7" });
    expect(await dcs.scopes()).toEqual(["main", "main2"]);
  });

  test("all who use the same entry share a token", async () => {
    let asked = 0;
    const [member] = etcd.members;
    const between = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        const { pathname } = new URL(request.url);
        if (pathname.endsWith("/auth/authenticate")) asked++;
        const { method, headers } = request;
        const body = method === "POST" ? { body: await request.text() } : {};
        return fetch(`${member!.url}${pathname}`, { method, headers, ...body });
      },
    });
    const entry = { ...spec, endpoints: [`http://127.0.0.1:${between.port}`] };
    for (let n = 0; n < 3; n++) await (await openDcs(entry)).health();
    await between.stop(true);
    expect(asked).toBe(1);
  });

  test("a token that has ended is renewed", async () => {
    await dcs.leader();
    // A new password ends the tokens of the account, and so does any change of the accounts.
    await etcd.call("/auth/user/changepw", { name: "patroni", password: "secret" }, root);
    expect(await dcs.save()).toMatchObject({ initialize: "7" });
    root = (await etcd.call("/auth/authenticate", { name: "root", password: "toor" })).token;
  });

  test("a frozen member keeps nobody waiting, and one that is gone is named", async () => {
    await etcd.members[0]!.signal("SIGSTOP");
    let quickest = Infinity;
    // Less than the five seconds after which the frozen one is given up; a busy machine adds to one of them or the other.
    for (let n = 0; n < 5 && quickest > 4_000; n++) {
      const began = performance.now();
      expect(await (await openDcs(spec)).save()).toMatchObject({ initialize: "7" });
      quickest = Math.min(quickest, performance.now() - began);
    }
    expect(quickest).toBeLessThan(4_000);
    // Also where nothing is known of it yet: who shows it waits 3 s, and must hear of the others.
    const anew = async () => {
      const looked = performance.now();
      const seen = await (await openDcs({ ...spec })).health();
      return { ...seen, ms: performance.now() - looked };
    };
    let seen = await anew();
    // It may have been their leader; and a busy machine may be late once.
    for (let n = 0; n < 10 && !(seen.quorum && seen.ms < 2_950); n++) seen = await anew();
    expect(seen.ms).toBeLessThan(2_950);
    expect(seen.quorum).toBe(true);
    expect(seen.members.filter(({ reachable }) => !reachable)).toMatchObject([{ name: "etcd1" }]);
    await etcd.members[0]!.signal("SIGCONT");
    await etcd.members[2]!.kill();
    // The two that are left may have to elect a leader first, and say so meanwhile.
    let { quorum, members } = await dcs.health();
    for (let n = 0; n < 50 && !quorum; n++) ({ quorum, members } = await dcs.health());
    expect(quorum).toBe(true);
    expect(members.filter(({ reachable }) => !reachable)).toMatchObject([
      { name: "etcd3", endpoint: etcd.members[2]!.url, leader: false },
    ]);
  }, 300_000);

  test("without a majority health says so, and nobody knows the leader", async () => {
    await etcd.members[1]!.kill();
    const { quorum, revision, members } = await dcs.health();
    expect([quorum, revision]).toEqual([false, null]);
    expect(members.map(({ reachable }) => reachable).toSorted()).toEqual([false, false, true]);
    expect(await codeOf(dcs.leader())).toBe("connection_failed");
    // Nobody gives a token then; who has none hears all the same of the member that is left.
    const anew = await (await openDcs({ ...spec })).health();
    expect([anew.quorum, anew.members.filter(({ reachable }) => reachable).length]).toEqual([
      false,
      1,
    ]);
    await etcd.members[0]!.kill();
    expect(await dcs.health()).toMatchObject({ quorum: false, members: [{}, {}, {}] });
  }, 300_000);
});
