/** The verbs of a repository on standard input and output, for a pgdba that can't reach it: see `repository/remote/frames.ts`. */
import { PgdbaError } from "../../engine/errors.ts";
import type { Place, Repository } from "../repository/contract.ts";
import { openRepository } from "../repository/open.ts";
import {
  Credit,
  frame,
  type Frame,
  Frames,
  fromJson,
  Incoming,
  inParts,
  json,
} from "../repository/remote/frames.ts";
import type { WorkIo } from "./jobs.ts";
import { failedOf } from "./work.ts";

export interface ServeOrder {
  place: Place;
}

/** What is asked for by a `call`. */
export type Call =
  | { verb: "create"; name: string; stream: boolean }
  | { verb: "read"; name: string; from?: number; bytes?: number }
  | { verb: "names"; prefix: string; shallow: boolean }
  | { verb: "stat"; name: string }
  | { verb: "list"; prefix: string; after?: string }
  | { verb: "remove"; names: string[] }
  | { verb: "sweep"; before: string }
  | { verb: "space" };

/** Names in one part of a list. */
const LISTED = 500;

interface Running {
  stop: AbortController;
  incoming: Incoming;
  credit: Credit;
}

export const talks = true;

export async function run({ place }: ServeOrder, io: WorkIo): Promise<null> {
  const running = new Map<number, Running>();
  const working = new Set<Promise<void>>();
  // One frame after the other: two that are written at once would mix.
  let writing = Promise.resolve();
  const send = (...one: Parameters<typeof frame>): Promise<void> =>
    (writing = writing.then(() => io.output(frame(...one))));
  const repository = await openRepository(place).catch(async (error: unknown) => {
    await send(0, "error", json(failedOf(error, "repository_failed")));
    throw error;
  });
  await send(0, "result", json({ where: repository.where }));

  const begin = (id: number, call: Call): void => {
    const one: Running = {
      stop: new AbortController(),
      incoming: new Incoming(),
      credit: new Credit(),
    };
    running.set(id, one);
    const work = answer(repository, call, one, id, send)
      .then((result) => send(id, "result", json(result ?? null)))
      .catch((error: unknown) => send(id, "error", json(failedOf(error, "repository_failed"))))
      .catch(() => {})
      .finally(() => {
        running.delete(id);
        working.delete(work);
      });
    working.add(work);
  };
  const take = ({ call: id, kind, content }: Frame): void => {
    if (kind === "call") return begin(id, fromJson(content) as Call);
    const one = running.get(id);
    if (one === undefined) return;
    if (kind === "part") one.incoming.give(content);
    if (kind === "end") one.incoming.end();
    if (kind === "more") one.credit.more();
    if (kind === "break") giveUp(one, "the other end gave it up");
  };
  try {
    const frames = new Frames();
    for await (const bytes of io.input) for (const one of frames.take(bytes)) take(one);
  } finally {
    for (const one of running.values()) giveUp(one, "the line to the other end is closed");
    await Promise.all(working);
    await repository.close();
  }
  return null;
}

function giveUp({ stop, incoming, credit }: Running, why: string): void {
  const error = new PgdbaError("interrupted", why);
  stop.abort(error);
  incoming.fail(error);
  credit.breakOff(error);
}

async function answer(
  repository: Repository,
  call: Call,
  { stop: { signal }, incoming, credit }: Running,
  id: number,
  send: (...one: Parameters<typeof frame>) => Promise<void>,
): Promise<unknown> {
  const part = async (content: Uint8Array): Promise<void> => {
    await credit.spend();
    await send(id, "part", content);
  };
  switch (call.verb) {
    case "create": {
      const parts = incoming.parts(() => void send(id, "more").catch(() => {}));
      const content = call.stream ? parts : await wholeOf(parts);
      return repository.create(call.name, content, { signal });
    }
    case "read": {
      const found = await repository.read(call.name, { ...call, signal });
      if (found === null) return null;
      await part(new Uint8Array(0));
      for await (const bytes of inParts(found)) await part(bytes);
      return true;
    }
    case "list": {
      for await (const some of together(repository.list(call.prefix, { ...call, signal })))
        await part(json(some));
      return true;
    }
    case "names": {
      for await (const some of together(repository.names(call.prefix, { ...call, signal })))
        await part(json(some));
      return true;
    }
    case "stat":
      return repository.stat(call.name, { signal });
    case "remove":
      return repository.remove(call.names, { signal });
    case "sweep":
      return repository.sweep(new Date(call.before), { signal });
    case "space":
      return repository.space();
  }
}

async function* together<T>(all: AsyncIterable<T>): AsyncGenerator<T[]> {
  let some: T[] = [];
  for await (const one of all) {
    some.push(one);
    if (some.length < LISTED) continue;
    yield some;
    some = [];
  }
  if (some.length > 0) yield some;
}

async function wholeOf(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(parts));
}
