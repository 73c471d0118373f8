import { afterAll, expect, test } from "bun:test";
import { freePort } from "../../../providers/nodes/embedded/server.ts";
import { type PatroniClient, patroniClient } from "../../../providers/patroni/client.ts";

/*
 * A stub, for answers that a real Patroni can't be brought to give when a test wants them: another member that takes over, an answer
 * that is lost, an operation that goes on after the answer. All else is tested with the real one in versions.test.ts.
 */

interface Stub {
  /** Who holds the key, and who says that its PostgreSQL has the role. */
  leader: string | null;
  promoted: string[];
  /** What the POST does and answers; null breaks the connection. */
  post: () => Promise<Response | null> | Response | null;
  posts: number;
  /** What was read before the first POST. */
  readFirst: string[];
  /** Where each POST came in. */
  paths: string[];
  /** Members whose Patroni does not answer. */
  silent: string[];
}

const servers: { stop(force: boolean): Promise<void> }[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop(true))));

async function stub(does: Partial<Stub>): Promise<{ client: PatroniClient; is: Stub }> {
  const is: Stub = {
    leader: "a",
    promoted: ["a", "b", "c"],
    post: () => new Response(""),
    posts: 0,
    readFirst: [],
    paths: [],
    silent: [],
    ...does,
  };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request, self) {
      const { pathname } = new URL(request.url);
      const base = `http://127.0.0.1:${self.port}`;
      if (request.method === "POST") {
        is.posts++;
        is.paths.push(pathname);
        const answer = await is.post();
        if (answer !== null) return answer;
        await self.stop(true);
        return new Response("");
      }
      if (is.posts === 0) is.readFirst.push(pathname);
      if (pathname === "/config") return Response.json({ loop_wait: 0.2 });
      if (pathname === "/cluster") {
        const members = ["a", "b", "c"].map((name) => ({
          name,
          role: name === is.leader ? "leader" : "replica",
          state: "running",
          api_url: `${base}/${name}/patroni`,
        }));
        return Response.json({ members });
      }
      const name = pathname.split("/")[1] ?? "";
      if (is.silent.includes(name)) return new Response("", { status: 500 });
      return Response.json({
        state: "running",
        role: is.promoted.includes(name) ? "master" : "replica",
      });
    },
  });
  servers.push(server);
  const endpoints = [`http://127.0.0.1:${server.port}`];
  return { client: await patroniClient({ endpoints }), is };
}

test("another member that took over than was asked for is told, whatever the words of the answer", async () => {
  const { client, is } = await stub({
    post() {
      is.leader = "c";
      return new Response('Successfully switched over to "b"');
    },
  });
  expect(await client.switchover({ leader: "a", candidate: "b" })).toEqual({
    leader: "c",
    asked: "b",
    as_asked: false,
    scheduled: null,
  });
});

test("a switchover is over when the new leader says that it has the role, before Patroni answers", async () => {
  const answer = Promise.withResolvers<Response>();
  const { client, is } = await stub({
    promoted: ["a"],
    async post() {
      is.leader = "b";
      setTimeout(() => is.promoted.push("b"), 300);
      return answer.promise;
    },
  });
  const began = performance.now();
  expect(await client.switchover({ leader: "a" })).toMatchObject({ leader: "b", as_asked: true });
  expect(performance.now() - began).toBeGreaterThan(290);
  answer.resolve(new Response(""));
});

test("with what was seen before, the wish is the first that is sent, to the leader; where that has gone, to another", async () => {
  const { client, is } = await stub({
    post() {
      is.leader = "b";
      return new Response("");
    },
  });
  const seen = await client.cluster();
  is.readFirst = [];
  const wanted = { leader: "a", candidate: "b", seen, loopWait: 0.2 };
  expect(await client.switchover(wanted)).toMatchObject({ leader: "b", as_asked: true });
  expect([is.readFirst, is.paths]).toEqual([[], ["/a/switchover"]]);

  Object.assign(is, { leader: "a", posts: 0, paths: [] });
  const gone = { ...seen, members: seen.members.map((one) => ({ ...one })) };
  gone.members[0]!.api = `http://127.0.0.1:${await freePort()}/a`;
  expect(await client.switchover({ ...wanted, seen: gone })).toMatchObject({ leader: "b" });
  expect(is.paths).toEqual(["/switchover"]);
});

test("503 while it still goes on, and an answer that is lost: the cluster decides, and nothing is asked twice", async () => {
  const broken = (): Response =>
    new Response(
      new ReadableStream({
        async pull(stream) {
          stream.enqueue(Buffer.from("Succ"));
          await Bun.sleep(20);
          stream.error(new Error("cut"));
        },
      }),
    );
  for (const answer of [() => new Response("", { status: 503 }), broken]) {
    const { client, is } = await stub({
      post() {
        setTimeout(() => (is.leader = "b"), 300);
        return answer();
      },
    });
    const moved = await client.failover({ candidate: "b" });
    expect([moved.leader, moved.as_asked, is.posts]).toEqual(["b", true, 1]);
  }
});

test("a switchover of which nobody knows the end is told as such, with the advice not to repeat it", async () => {
  const { client, is } = await stub({ post: () => null });
  const failed = await client.switchover({ leader: "a" }).catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: "timeout", retryable: false, nothingDone: undefined });
  expect(is.posts).toBe(1);
});

test("a lost answer while nobody leads is no success", async () => {
  const { client } = await stub({
    leader: null,
    post: () => new Response("", { status: 503 }),
  });
  expect(await client.failover({ candidate: "b" }).catch((error: unknown) => error)).toMatchObject({
    code: "step_failed",
    data: { status: 503 },
  });
});

test("the member that has to act is asked itself, for another one would leave it to its next loop", async () => {
  const post = (is: () => Stub) => () => {
    is().leader = "b";
    return new Response("");
  };
  for (const [leader, silent, path] of [
    ["a", [], "/a/switchover"],
    ["a", ["a"], "/switchover"],
    [null, [], "/b/failover"],
  ] as const) {
    const { client, is } = await stub({ leader, silent: [...silent], post: post(() => is) });
    const wanted = { candidate: "b" };
    await (leader === null ? client.failover(wanted) : client.switchover({ leader, ...wanted }));
    expect(is.paths).toEqual([path]);
  }
});
