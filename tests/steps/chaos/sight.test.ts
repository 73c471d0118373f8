/** What proves from outside that a node fell: a refusal at once, silence only when it lasts. */
import { createServer, type Server, type Socket } from "node:net";
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { systemClock } from "../../../engine/clock.ts";
import type { NodeInfo, Nodes } from "../../../providers/nodes/contract.ts";
import { seenToFall } from "../../../steps/chaos/fault/sight.ts";
import { fakeContext } from "../../support/context.ts";

setDefaultTimeout(60_000);
const close: (() => void)[] = [];
afterAll(() => {
  for (const one of close) one();
});

/** A node of the store whose answers `late` says how long they take, ms. */
async function service(late: () => number): Promise<{ nodes: Nodes; server: Server; end(): void }> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => {});
    socket.on("data", () => setTimeout(() => socket.write("HTTP/1.0 200 OK"), late()));
  });
  await new Promise<void>((up) => server.listen(0, "127.0.0.1", up));
  const end = () => {
    server.close();
    for (const one of open) one.destroy();
  };
  close.push(end);
  const { port } = server.address() as { port: number };
  const at = { host: "127.0.0.1", port };
  const info = { node: "etcd1", roles: ["etcd"], endpoints: { etcd: { address: at, reach: at } } };
  const nodes = { list: async () => [info as Partial<NodeInfo>] } as unknown as Nodes;
  return { nodes, server, end };
}
const ctx = () => fakeContext({ clock: systemClock });

test("one answer that comes too late proves nothing", async () => {
  let asked = 0;
  let slow = Infinity;
  const { nodes } = await service(() => (++asked === slow ? 3_000 : 0));
  const seen = await seenToFall(ctx(), nodes, "etcd1", async () => {
    slow = asked + 1;
  });
  expect(seen).toMatchObject({ took: false, evidence: expect.stringContaining("as before") });
  expect(asked).toBeGreaterThan(slow);
});

test("silence that lasts does, and a refusal does at once", async () => {
  let late = 0;
  let looks = 0;
  const silent = await service(() => {
    if (late > 0) looks += 1;
    return late;
  });
  const fell = await seenToFall(ctx(), silent.nodes, "etcd1", async () => {
    late = 30_000;
  });
  expect(fell).toMatchObject({
    took: true,
    evidence: expect.stringContaining("does not any more"),
  });
  expect(looks).toBe(3);
  const refusing = await service(() => 0);
  const gone = await seenToFall(ctx(), refusing.nodes, "etcd1", async () => refusing.end());
  expect(gone).toMatchObject({
    took: true,
    evidence: expect.stringContaining("does not any more"),
  });
});
