import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { etcdAccess } from "../../../providers/dcs/etcd/etcd.ts";
import type { DcsAccess } from "../../../providers/dcs/contract.ts";
import renewScope from "../../../steps/dcs/renew-scope.ts";
import { fakeContext, type Overrides } from "../../support/context.ts";
import { type Etcd, etcdMissing, startEtcd } from "../../support/etcd.ts";

setDefaultTimeout(300_000);

const why = etcdMissing();
const BEFORE = {
  initialize: "7000",
  config: '{"ttl":20,"pause":true,"synchronous_mode":true}',
  history: '[[1,100,"no recovery target specified"]]',
  status: '{"optime":999}',
  sync: '{"leader":"pg1","sync_standby":"pg2"}',
};
const CONFIG = '{"ttl":20,"synchronous_mode":true}';
let etcd: Etcd;
let dcs: DcsAccess;

beforeAll(async () => {
  if (why !== null) return;
  etcd = await startEtcd(1);
  const endpoints = etcd.members.map(({ url }) => url);
  dcs = etcdAccess({ kind: "etcd3", endpoints, scope: "shop", namespace: "service" });
});
afterAll(async () => etcd?.stop());

test.skipIf(why !== null)(
  `the scope goes but for its configuration, which is not paused any more, and comes back${why === null ? "" : ` [${why}]`}`,
  async () => {
    await dcs.restore(BEFORE);
    // What lives as long as its holder, as Patroni writes it.
    const put = { key: btoa("/service/shop/members/pg1"), value: btoa('{"state":"running"}') };
    await etcd.call("/kv/put", put);
    const context = (more: Overrides = {}) =>
      fakeContext({ ...more, target: { use: async () => dcs } });
    const ctx = context();
    const did = (await renewScope.run(ctx, {})) as { removed: string[]; kept: string[] };
    expect(did.kept).toEqual(["config"]);
    expect(did.removed.toSorted()).toEqual(
      ["history", "initialize", "members/pg1", "status", "sync"].toSorted(),
    );
    expect(await dcs.save()).toEqual({ config: CONFIG });
    const noted = ctx.recorded.notes.at(-1)!;
    // A process that died in the middle has noted all; the next one does not take what is left for all.
    await dcs.remove();
    const again = context({ noted });
    await renewScope.run(again, {});
    expect(again.recorded.notes.at(-1)).toEqual(noted);
    expect(await dcs.save()).toEqual({ config: CONFIG });
    await renewScope.undo!(context({ noted }), {}, undefined);
    expect(await dcs.save()).toEqual({ ...BEFORE, config: CONFIG });
    await renewScope.undo!(context(), {}, undefined);
    expect(await dcs.save()).toEqual({ ...BEFORE, config: CONFIG });
  },
);
