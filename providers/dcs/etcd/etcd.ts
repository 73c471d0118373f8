import { PgdbaError } from "../../../engine/errors.ts";
import type { DcsAccess, DcsSpec } from "../contract.ts";
import { EtcdGateway } from "./gateway.ts";
import { readHealth } from "./health.ts";
import { base64, below, keysIn, scopePath } from "./keys.ts";
import { readLeader, removeLeader } from "./leader.ts";

/** Keys that live as long as somebody holds or asks for them: without their holder they would stand for ever. */
const OF_THE_MOMENT = /^(leader$|failover$|members\/)/;

/** A scope in etcd 3. Holds no connection. @throws PgdbaError invalid_config */
export function etcdAccess(spec: DcsSpec, signal?: AbortSignal): DcsAccess {
  const gateway = new EtcdGateway(spec, signal);
  const scope = scopePath(spec);
  return {
    kind: "etcd3",
    scope: spec.scope,
    health: () => readHealth(gateway, spec),
    leader: () => readLeader(gateway, spec),
    removeLeader: (key) => removeLeader(gateway, spec, key),
    async scopes() {
      const namespace = scope.slice(0, -`${spec.scope}/`.length);
      const { answer } = await gateway.ask("/kv/range", { ...below(namespace), keys_only: true });
      const names = keysIn(answer).map(({ key }) => key.slice(namespace.length).split("/")[0]!);
      return [...new Set(names)].toSorted();
    },
    async save() {
      const { answer } = await gateway.ask("/kv/range", below(scope));
      return Object.fromEntries(
        keysIn(answer).map(({ key, value }) => [key.slice(scope.length), value]),
      );
    },
    async remove() {
      // Whoever answers now is asked to remove, once.
      const { endpoint } = await gateway.ask("/kv/range", { ...below(scope), count_only: true });
      await gateway.at(endpoint, "/kv/deleterange", below(scope));
    },
    async restore(keys) {
      const { endpoint } = await gateway.ask("/kv/range", { ...below(scope), count_only: true });
      const answer = await gateway.at(endpoint, "/kv/txn", {
        // True where no key of the scope was ever created.
        compare: [{ ...below(scope), target: "CREATE", result: "EQUAL", create_revision: "0" }],
        success: Object.entries(keys)
          .filter(([key]) => !OF_THE_MOMENT.test(key))
          .map(([key, value]) => ({
            request_put: { key: base64(`${scope}${key}`), value: base64(value) },
          })),
      });
      if (answer["succeeded"] === true) return;
      throw new PgdbaError("step_refused", `The scope ${spec.scope} has keys in etcd already`, {
        hint: "Nothing was written. Stop every Patroni of the cluster and remove the scope first.",
        nothingDone: true,
      });
    },
  };
}
