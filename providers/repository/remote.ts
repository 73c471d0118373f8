/** A repository that only a node reaches: its verbs are done there, by `pgdba work serve`. */
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { partsUntil } from "../../engine/shared/until.ts";
import type { Call } from "../backup/serve.ts";
import { errorOf, type Failed } from "../backup/work.ts";
import type { Repository, Stored } from "./contract.ts";
import { checkedName } from "./object.ts";
import {
  Credit,
  frame,
  type Frame,
  Frames,
  fromJson,
  Incoming,
  inParts,
  json,
} from "./remote/frames.ts";

/** A program that runs somewhere, with its input and output; `done` settles when it has ended. */
export interface Line {
  send(bytes: Uint8Array): Promise<void>;
  receive(take: (bytes: Uint8Array) => void): void;
  /** What it ended with, in words. */
  done: Promise<string>;
  /** Ends its input, and waits for its end. */
  close(): Promise<void>;
}

interface Waiting {
  incoming: Incoming;
  credit: Credit;
  result: PromiseWithResolvers<unknown>;
}

type Listed = Omit<Stored, "at"> & { at: string };
const stored = ({ at, ...rest }: Listed): Stored => ({ ...rest, at: new Date(at) });

/** @throws PgdbaError repository_failed, and what it fails with there */
export async function remoteRepository(line: Line): Promise<Repository> {
  const waiting = new Map<number, Waiting>();
  let last = 0;
  let ended: PgdbaError | undefined;

  const open = (id: number): Waiting => {
    const one = {
      incoming: new Incoming(),
      credit: new Credit(),
      result: Promise.withResolvers<unknown>(),
    };
    one.result.promise.catch(() => {});
    waiting.set(id, one);
    return one;
  };
  const settle = (id: number, error?: PgdbaError, result?: unknown): void => {
    const one = waiting.get(id);
    waiting.delete(id);
    if (one === undefined) return;
    if (error === undefined) {
      one.incoming.end();
      one.result.resolve(result);
    } else {
      one.incoming.fail(error);
      one.result.reject(error);
    }
    // Whoever still gives parts need not go on.
    one.credit.breakOff(error ?? new PgdbaError("repository_failed", "It is over"));
  };
  const take = ({ call: id, kind, content }: Frame): void => {
    const one = waiting.get(id);
    if (kind === "part") one?.incoming.give(content);
    if (kind === "more") one?.credit.more();
    if (kind === "result") settle(id, undefined, fromJson(content));
    if (kind === "error") settle(id, errorOf(fromJson(content) as Failed, "repository_failed"));
  };
  const frames = new Frames();
  const greeting = open(0);
  const end = (how: string): void => {
    ended ??= lost(how);
    for (const id of waiting.keys()) settle(id, ended);
  };
  line.receive((bytes) => {
    if (ended !== undefined) return;
    try {
      for (const one of frames.take(bytes)) take(one);
    } catch (error) {
      end(`what came from there is not understood (${(error as Error).message})`);
    }
  });
  void line.done.then(end, (error: unknown) => end(toPgdbaError(error).message));
  const { where } = (await greeting.result.promise) as { where: string };

  /** Sends a call; `signal` gives it up. */
  const begin = async (
    call: Call,
    signal: AbortSignal | undefined,
  ): Promise<{ id: number; one: Waiting; over(): void }> => {
    signal?.throwIfAborted();
    if (ended !== undefined) throw ended;
    const id = ++last;
    const one = open(id);
    const onAbort = () => {
      void line.send(frame(id, "break")).catch(() => {});
      settle(id, signal?.reason as PgdbaError);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    await line.send(frame(id, "call", json(call)));
    return { id, one, over: () => signal?.removeEventListener("abort", onAbort) };
  };
  const ask = async (call: Call, signal?: AbortSignal): Promise<unknown> => {
    const { one, over } = await begin(call, signal);
    return one.result.promise.finally(over);
  };
  /** The parts of an answer; one that nobody reads to its end is given up. */
  async function* parts({
    id,
    one,
    over,
  }: Awaited<ReturnType<typeof begin>>): AsyncGenerator<Uint8Array> {
    let whole = false;
    try {
      yield* one.incoming.parts(() => void line.send(frame(id, "more")).catch(() => {}));
      await one.result.promise;
      whole = true;
    } finally {
      over();
      if (!whole && waiting.delete(id)) await line.send(frame(id, "break")).catch(() => {});
    }
  }

  return {
    where,
    async create(name, content, { signal } = {}) {
      checkedName(name);
      const isStream = !(content instanceof Uint8Array);
      const { id, one, over } = await begin({ verb: "create", name, stream: isStream }, signal);
      try {
        const source = isStream
          ? content
          : (async function* () {
              yield content;
            })();
        for await (const part of inParts(partsUntil(source, signal))) {
          // An answer that comes earlier is a refusal.
          if (!waiting.has(id)) break;
          await one.credit.spend();
          await line.send(frame(id, "part", part));
        }
        if (waiting.has(id)) await line.send(frame(id, "end"));
      } catch (error) {
        if (waiting.has(id)) {
          await line.send(frame(id, "break")).catch(() => {});
          settle(id, error as PgdbaError);
        }
      }
      return (await one.result.promise.finally(over)) as "made" | "same";
    },
    async read(name, { signal, ...range } = {}) {
      checkedName(name);
      const call = await begin({ verb: "read", name, ...range }, signal);
      const answer = parts(call);
      // Its first part is empty, and says that it is there.
      const first = await answer.next();
      if (first.done) return null;
      return answer;
    },
    async stat(name, { signal } = {}) {
      const found = (await ask({ verb: "stat", name: checkedName(name) }, signal)) as Listed | null;
      return found === null ? null : stored(found);
    },
    async *list(prefix, { signal, after } = {}) {
      const call = await begin(
        { verb: "list", prefix, ...(after === undefined ? {} : { after }) },
        signal,
      );
      for await (const part of parts(call)) yield* (fromJson(part) as Listed[]).map(stored);
    },
    async *names(prefix, { signal, shallow = false } = {}) {
      const call = await begin({ verb: "names", prefix, shallow }, signal);
      for await (const part of parts(call)) yield* fromJson(part) as string[];
    },
    async remove(names, { signal } = {}) {
      for (let at = 0; at < names.length; at += 1000)
        await ask({ verb: "remove", names: names.slice(at, at + 1000).map(checkedName) }, signal);
    },
    async sweep(before, { signal } = {}) {
      return Number((await ask({ verb: "sweep", before: before.toISOString() }, signal)) ?? 0);
    },
    async space() {
      return (await ask({ verb: "space" })) as Awaited<ReturnType<Repository["space"]>>;
    },
    close: () => line.close(),
  };
}

function lost(how: string): PgdbaError {
  return new PgdbaError("repository_failed", `The way to the repository broke: ${how}`, {
    hint: "Look whether the node runs and reaches the repository (pgdba cluster status), and run again.",
    retryable: true,
  });
}
