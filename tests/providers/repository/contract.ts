/** What every kind of repository must hold, against the real thing. A kind's test is one call of this. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Bytes, Repository } from "../../../providers/repository/contract.ts";

export interface KindUnderTest {
  kind: string;
  /** A new repository with nothing in it, and as many ways to it as are asked for. */
  begin(): Promise<() => Promise<Repository>>;
  end(): Promise<void>;
}

const text = (words: string) => new TextEncoder().encode(words);

async function* stream(...parts: (string | Uint8Array)[]): Bytes {
  for (const part of parts) {
    await Bun.sleep(0);
    yield typeof part === "string" ? text(part) : part;
  }
}

async function* broken(): Bytes {
  yield text("the first part");
  await Bun.sleep(0);
  throw new PgdbaError("connection_failed", "the source broke");
}

async function all(bytes: Bytes | null): Promise<string | null> {
  if (bytes === null) return null;
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function names(repository: Repository, prefix: string, after?: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of repository.list(prefix, after === undefined ? {} : { after }))
    found.push(name);
  return found;
}

const failure = (promise: Promise<unknown>): Promise<PgdbaError> =>
  promise.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: unknown) => error as PgdbaError,
  );

/** Bytes are on their way before they are there. */
async function until<T>(ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  for (const deadline = performance.now() + 20_000; ; await Bun.sleep(20)) {
    const answer = await ask();
    if (holds(answer) || performance.now() > deadline) return answer;
  }
}

/** Incompressible, and the same for the same seed. */
function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = seed;
  for (let at = 0; at < length; at++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[at] = x >>> 24;
  }
  return bytes;
}

export function repositoryContract({ kind, begin, end }: KindUnderTest): void {
  describe(`a repository: ${kind}`, () => {
    let connect: () => Promise<Repository>;
    let repository: Repository;
    beforeAll(async () => {
      connect = await begin();
      repository = await connect();
    }, 300_000);
    afterAll(async () => {
      await repository?.close();
      await end();
    }, 300_000);

    test("says where it is", () => {
      expect(repository.where.length).toBeGreaterThan(3);
      expect(repository.where).not.toMatch(/secret|password/i);
    });

    test("an object is made once: the same content again is the same, another is refused and changes nothing", async () => {
      const name = "once/a-1/one.json";
      expect(await repository.create(name, text("first"))).toBe("made");
      expect(await repository.create(name, text("first"))).toBe("same");
      for (const other of ["second", "firs", "first ", ""]) {
        const error = await failure(repository.create(name, text(other)));
        expect(error).toMatchObject({ code: "object_differs", retryable: false });
        expect(error.message).toContain(name);
      }
      expect(await all(await repository.read(name))).toBe("first");
      expect(await names(repository, "once/")).toEqual([name]);
    });

    test("a stream is kept whole, and refused where the name is taken", async () => {
      const name = "stream/part";
      expect(await repository.create(name, stream("one, ", "two, ", "three"))).toBe("made");
      expect(await all(await repository.read(name))).toBe("one, two, three");
      const error = await failure(repository.create(name, stream("one, two, three")));
      expect(error.code).toBe("object_differs");
      expect(await repository.create("stream/nothing", stream())).toBe("made");
      expect(await repository.stat("stream/nothing")).toMatchObject({ bytes: 0 });
      expect(await all(await repository.read("stream/nothing"))).toBe("");
    });

    test("a stream that breaks, or is given up, leaves nothing", async () => {
      const error = await failure(repository.create("broken/one", broken()));
      expect(error.code).toBe("connection_failed");
      const stop = new AbortController();
      const endless = async function* (): Bytes {
        for (;;) {
          yield text("more ");
          stop.abort(new PgdbaError("interrupted", "enough"));
          await Bun.sleep(1);
        }
      };
      const given = await failure(
        repository.create("broken/two", endless(), { signal: stop.signal }),
      );
      expect(given.code).toBe("interrupted");
      const stuck = async function* (): Bytes {
        yield text("the first part");
        await new Promise(() => {});
      };
      const late = AbortSignal.timeout(50);
      await failure(repository.create("broken/three", stuck(), { signal: late }));
      expect(await names(repository, "broken/")).toEqual([]);
      expect(await repository.stat("broken/one")).toBeNull();
      expect(await repository.create("broken/one", text("whole"))).toBe("made");
    });

    test("what was begun and never ended is swept away, and not what somebody is still at", async () => {
      const held = Promise.withResolvers<void>();
      const swept = Promise.withResolvers<void>();
      const content = async function* (): Bytes {
        for (let part = 0; part < 18; part++) yield noise(1 << 20, part);
        held.resolve();
        await swept.promise;
        yield text("the end");
      };
      const creating = repository
        .create("swept/one", content())
        .catch((error: PgdbaError) => error.code);
      await held.promise;
      const other = await connect();
      expect(await other.sweep(new Date(Date.now() - 3600_000))).toBe(0);
      const removed = await until(
        () => other.sweep(new Date(Date.now() + 3600_000)),
        (n) => n > 0,
      );
      expect(removed).toBe(1);
      await other.close();
      swept.resolve();
      // A store may take a part that was on its way, and then has all of them.
      const outcome = await creating;
      const stored = (await repository.stat("swept/one"))?.bytes ?? null;
      expect([outcome, stored]).toBeOneOf([
        ["repository_failed", null],
        ["made", 18 * (1 << 20) + 7],
      ]);
      await repository.remove(["swept/one"]);
      expect(await repository.create("swept/one", text("anew"))).toBe("made");
      await repository.remove(["swept/one"]);
    });

    test("a large stream comes back byte by byte, and by parts", async () => {
      const parts = [1, 2, 3, 4].map((seed) => noise(3_000_001, seed));
      const content = Buffer.concat(parts);
      expect(await repository.create("large/one", stream(...parts))).toBe("made");
      expect(await repository.stat("large/one")).toMatchObject({ bytes: content.length });
      const hash = (bytes: Uint8Array) =>
        new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
      const read = new Bun.CryptoHasher("sha256");
      let largest = 0;
      for await (const part of (await repository.read("large/one"))!) {
        read.update(part);
        largest = Math.max(largest, part.length);
      }
      expect(read.digest("hex")).toBe(hash(content));
      expect(largest).toBeLessThanOrEqual(4 * 1024 * 1024);
      for (const [from, bytes] of [
        [0, 10],
        [5_999_990, 30],
        [content.length - 7, 100],
        [content.length, 5],
        [content.length + 5, 5],
      ] as const) {
        const got: Uint8Array[] = [];
        for await (const part of (await repository.read("large/one", { from, bytes }))!)
          got.push(part);
        expect(Buffer.compare(Buffer.concat(got), content.subarray(from, from + bytes))).toBe(0);
      }
      expect(await all(await repository.read("large/one", { from: 3, bytes: 0 }))).toBe("");
      await repository.remove(["large/one"]);
    }, 300_000);

    test("what is not there is missing, and to remove it is no error", async () => {
      expect(await repository.read("nowhere/a/b")).toBeNull();
      expect(await repository.stat("nowhere/a/b")).toBeNull();
      expect(await names(repository, "nowhere/")).toEqual([]);
      await repository.remove(["nowhere/a/b", "nowhere"]);
      expect(await repository.create("file/one", text("1"))).toBe("made");
      expect(await repository.stat("file")).toBeNull();
      expect(await repository.read("file")).toBeNull();
      expect(await repository.read("file/one/two")).toBeNull();
    });

    test("names are listed in their order as bytes, from a prefix and after a name", async () => {
      const made = [
        "list/a/1",
        "list/a/2",
        "list/a-b",
        "list/a.c",
        "list/aa",
        "list/B/x/y",
        "list/b",
        "lister",
      ];
      for (const name of made.toReversed()) await repository.create(name, text(name));
      const sorted = made.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      const below = sorted.filter((name) => name.startsWith("list/"));
      expect(await names(repository, "list")).toEqual(sorted);
      expect(await names(repository, "list/")).toEqual(below);
      expect(await names(repository, "list/a")).toEqual(
        below.filter((n) => n.startsWith("list/a")),
      );
      expect(await names(repository, "list/a/")).toEqual(["list/a/1", "list/a/2"]);
      for (const after of [
        "list/",
        "list/B/x",
        "list/B/x/y",
        "list/a-b",
        "list/a/",
        "list/a/1",
        "list/a/2",
        "list/aaa",
        "z",
      ])
        expect(await names(repository, "list/", after)).toEqual(
          below.filter((name) => name > after),
        );
      const [first] = await Array.fromAsync(repository.list("list/a/1"));
      expect(first).toMatchObject({ name: "list/a/1", bytes: 8 });
      expect(Math.abs(first!.at.getTime() - Date.now())).toBeLessThan(120_000);
    });

    test("names alone are told like a list, and in a shallow one folders by their names", async () => {
      const made = ["bare/b/c/1", "bare/b/2", "bare/a.x", "bare/a.y", "bare/b-1", "bare/d/1"];
      for (const name of made) await repository.create(name, text(name));
      const told = (prefix: string, shallow?: boolean) =>
        Array.fromAsync(repository.names(prefix, shallow === undefined ? {} : { shallow }));
      expect(await told("bare/")).toEqual(await names(repository, "bare/"));
      expect(await told("bare/a.")).toEqual(["bare/a.x", "bare/a.y"]);
      expect(await told("bare/", true)).toEqual([
        "bare/a.x",
        "bare/a.y",
        "bare/b-1",
        "bare/b/",
        "bare/d/",
      ]);
      expect(await told("bare/b", true)).toEqual(["bare/b-1", "bare/b/"]);
      expect(await told("bare/none/", true)).toEqual([]);
      await repository.remove(made);
    });

    test("more names than one answer holds are all listed", async () => {
      const made = Array.from({ length: 1100 }, (_, at) => `many/${String(at).padStart(4, "0")}`);
      for (let at = 0; at < made.length; at += 20)
        await Promise.all(
          made.slice(at, at + 20).map((name) => repository.create(name, text(name))),
        );
      expect(await names(repository, "many/")).toEqual(made);
      expect(await Array.fromAsync(repository.names("many/", { shallow: true }))).toEqual(made);
      expect(await names(repository, "many/", made[1049])).toEqual(made.slice(1050));
      await repository.remove(made);
      expect(await names(repository, "many/")).toEqual([]);
    }, 300_000);

    test("what is removed is gone, and its name is free", async () => {
      await repository.create("gone/x/1", text("1"));
      await repository.create("gone/x/2", text("2"));
      await repository.remove(["gone/x/1", "gone/x/1"]);
      expect(await names(repository, "gone/")).toEqual(["gone/x/2"]);
      await repository.remove(["gone/x/2"]);
      expect(await repository.create("gone/x/1", text("another"))).toBe("made");
      expect(await all(await repository.read("gone/x/1"))).toBe("another");
    });

    test("of many who make one name at the same time, one wins, and the others learn it", async () => {
      const others = await Promise.all([connect(), connect(), connect(), connect()]);
      try {
        for (let round = 0; round < 5; round++) {
          const outcomes = await Promise.all(
            others.map((one, at) =>
              one.create(`race/${round}/x`, text(`by ${at}`)).then(
                (outcome) => outcome,
                (error: unknown) => (error as PgdbaError).code,
              ),
            ),
          );
          expect(outcomes.toSorted()).toEqual(["made", ...Array(3).fill("object_differs")]);
          const winner = `by ${outcomes.indexOf("made")}`;
          expect(await all(await repository.read(`race/${round}/x`))).toBe(winner);
          const same = await Promise.all(
            others.map((one) => one.create(`race/${round}/same`, text("all alike"))),
          );
          expect(same.toSorted()).toEqual(["made", "same", "same", "same"]);
          const streams = await Promise.all(
            others.map((one, at) =>
              one.create(`race/${round}/stream`, stream(noise(2_000_000, at))).then(
                (outcome) => outcome,
                (error: unknown) => (error as PgdbaError).code,
              ),
            ),
          );
          expect(streams.toSorted()).toEqual(["made", ...Array(3).fill("object_differs")]);
        }
      } finally {
        for (const one of others) await one.close();
      }
    }, 300_000);

    test("a name that leads elsewhere is refused", async () => {
      for (const bad of [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        ".hidden",
        "a/.b",
        "a\0b",
        "a b",
        "a/b\n",
      ]) {
        for (const attempt of [
          () => repository.create(bad, text("x")),
          () => repository.read(bad),
          () => repository.stat(bad),
          () => repository.remove([bad]),
        ])
          expect((await failure(attempt())).code).toBe("step_refused");
      }
    });

    test("its space is told, or not known", async () => {
      const space = await repository.space();
      if (space === null) return;
      expect(space.freeBytes).toBeGreaterThan(0);
      expect(space.totalBytes).toBeGreaterThanOrEqual(space.freeBytes);
    });

    test("an aborted reader gets the reason, and one that stops reading leaves nothing open", async () => {
      await repository.create("read/one", noise(4_000_000, 9));
      const stop = new AbortController();
      const reading = (async () => {
        for await (const _part of (await repository.read("read/one", { signal: stop.signal }))!)
          stop.abort(new PgdbaError("interrupted", "enough"));
      })();
      expect((await failure(reading)).code).toBe("interrupted");
      for (let at = 0; at < 20; at++)
        for await (const _part of (await repository.read("read/one"))!) break;
      expect(await all(await repository.read("read/one", { bytes: 3 }))).toHaveLength(3);
    });
  });
}
