import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { makeRepository, openRepository } from "../../../providers/repository/open.ts";
import { signed } from "../../../providers/repository/s3/sign.ts";
import { keyFile, makeBucket, s3, storePlace, withoutS3 } from "../../support/s3.ts";
import { repositoryContract } from "./contract.ts";

const text = (words: string) => new TextEncoder().encode(words);

test("a request is signed as AWS's own example says", () => {
  const url = new URL("https://examplebucket.s3.amazonaws.com/test.txt");
  const headers = signed(
    { method: "GET", url, headers: { range: "bytes=0-9" }, body: new Uint8Array(0) },
    { id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" },
    "us-east-1",
    new Date("2013-05-24T00:00:00Z"),
  );
  expect(headers["authorization"]).toEndWith(
    "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  );
});

/** Stands before the real store and may answer in its place. */
function before(
  answer: (request: Request, seen: number) => Promise<Response | undefined> | Response | undefined,
) {
  let seen = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const own = await answer(request, ++seen);
      if (own !== undefined) return own;
      return passedOn(request);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    stop: () => server.stop(true),
    seen: () => seen,
  };
}

/** The store believes a signature over the name of its own host alone: the request is signed anew. */
async function passedOn(request: Request, change: (headers: Headers) => void = () => {}) {
  const { pathname, search } = new URL(request.url);
  const url = new URL(`${s3!.endpoint}${pathname}${search}`);
  const body = new Uint8Array(await request.arrayBuffer());
  const given = new Headers();
  for (const name of ["range", "if-none-match", "x-amz-meta-pgdba"]) {
    const value = request.headers.get(name);
    if (value !== null) given.set(name, value);
  }
  change(given);
  const headers = signed(
    { method: request.method, url, headers: Object.fromEntries(given), body },
    s3!,
    "us-east-1",
    new Date(),
  );
  return fetch(url, { method: request.method, headers, ...(body.length > 0 ? { body } : {}) });
}

const busy = () =>
  new Response(
    "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
    {
      status: 503,
    },
  );

describe.skipIf(s3 === undefined)(
  `an object store${s3 === undefined ? ` [${withoutS3}]` : ""}`,
  () => {
    beforeAll(makeBucket);
    const proxies: { stop(): unknown }[] = [];
    afterAll(() => proxies.forEach((one) => one.stop()));
    const proxy = (...how: Parameters<typeof before>) => {
      const one = before(...how);
      proxies.push(one);
      return one;
    };

    if (s3 !== undefined) {
      const place = storePlace();
      repositoryContract({
        kind: "object store",
        async begin() {
          await makeBucket();
          await makeRepository(place);
          return () => openRepository(place);
        },
        async end() {},
      });
    }

    test("one that is overloaded for a while is asked again, and what it holds is never missing", async () => {
      const place = storePlace();
      await (await openRepository(place)).create("a/b", text("1"));
      const twice = proxy((_request, seen) => (seen <= 2 ? busy() : undefined));
      const patient = await openRepository({ ...place, endpoint: twice.url });
      expect(await patient.stat("a/b")).toMatchObject({ bytes: 1 });
      expect(twice.seen()).toBe(3);
      const always = await openRepository({ ...place, endpoint: proxy(busy).url });
      for (const attempt of [
        () => always.stat("a/b"),
        () => always.read("a/b"),
        () => always.create("a/c", text("2")),
        () => Array.fromAsync(always.list("a/")),
      ])
        await expect(attempt()).rejects.toMatchObject({
          code: "repository_failed",
          retryable: true,
        });
    }, 300_000);

    test("a lost answer is no other one's object: who asks again finds his own", async () => {
      const place = storePlace();
      const deaf = proxy(async (request, seen) => {
        if (request.method !== "PUT" || seen > 1) return undefined;
        await passedOn(request);
        return busy();
      });
      const repository = await openRepository({ ...place, endpoint: deaf.url });
      expect(await repository.create("once/a", text("mine"))).toBe("made");
      // In one of several parts, the answer to the last request is lost.
      let lost = 0;
      const deafLater = proxy(async (request) => {
        const last = request.method === "POST" && request.url.includes("uploadId") && lost++ === 0;
        if (!last) return undefined;
        await passedOn(request);
        return busy();
      });
      const large = await openRepository({ ...place, endpoint: deafLater.url });
      const stream = async function* () {
        for (let at = 0; at < 20; at++) yield new Uint8Array(1024 * 1024).fill(at);
      };
      expect(await large.create("once/b", stream())).toBe("made");
      expect(lost).toBe(2);
      expect(await large.stat("once/b")).toMatchObject({ bytes: 20 * 1024 * 1024 });
    }, 300_000);

    test("a wrong key, a bucket that is not there and a store that is away are told, and nothing is missing", async () => {
      const place = storePlace();
      await (await openRepository(place)).create("a/b", text("1"));
      const wrong = await openRepository({
        ...place,
        key_file: keyFile("testhost:not-the-secret"),
      });
      const nowhere = await openRepository({ ...place, bucket: "pgdba-no-such-bucket" });
      const away = await openRepository({ ...place, endpoint: "http://127.0.0.1:1" });
      for (const [one, retryable] of [
        [wrong, false],
        [nowhere, false],
        [away, true],
      ] as const) {
        const outcomes = await Promise.allSettled([
          one.stat("a/b"),
          one.read("a/b"),
          one.create("a/c", text("2")),
          Array.fromAsync(one.list("a/")),
        ]);
        const reason = { code: "repository_failed", retryable };
        for (const outcome of outcomes)
          expect(outcome).toMatchObject({ status: "rejected", reason });
      }
      await expect(openRepository({ ...place, key_file: "/nonexistent" })).rejects.toMatchObject({
        code: "missing_secret",
      });
    }, 300_000);

    test("a store that overwrites though it is told not to is refused", async () => {
      const careless = proxy((request) =>
        passedOn(request, (headers) => headers.delete("if-none-match")),
      );
      const place = { ...storePlace(), endpoint: careless.url };
      await expect(makeRepository(place)).rejects.toMatchObject({
        code: "step_refused",
        hint: expect.stringContaining("conditional writes"),
      });
      await makeRepository({ ...place, endpoint: s3!.endpoint });
      expect(await Array.fromAsync((await openRepository(place)).list(""))).toEqual([]);
    });

    test("names are as they were given, whatever signs the prefix of the place has", async () => {
      const { prefix, ...place } = storePlace();
      const repository = await openRepository({ ...place, prefix: `R&D's "own"/${prefix}` });
      await repository.create("a/b", text("1"));
      expect(await Array.fromAsync(repository.names("a/"))).toEqual(["a/b"]);
      expect(await repository.stat("a/b")).toMatchObject({ name: "a/b", bytes: 1 });
    });

    test("a full store is told as such", async () => {
      const full = proxy(
        () => new Response("<Error><Code>QuotaExceeded</Code></Error>", { status: 400 }),
      );
      const repository = await openRepository({ ...storePlace(), endpoint: full.url });
      await expect(repository.create("a", text("1"))).rejects.toMatchObject({
        code: "repository_full",
      });
    });

    /** 20 MB, so that they go in parts; `closed` once nobody reads them any more. */
    const written = () => {
      const source = { closed: false, content: parts() };
      async function* parts() {
        try {
          for (let at = 0; at < 20; at++) yield new Uint8Array(1024 * 1024).fill(at);
        } finally {
          source.closed = true;
        }
      }
      return source;
    };
    const denied = () => new Response("<Error><Code>AccessDenied</Code></Error>", { status: 403 });

    test("what the store does not take is not read any further, and who writes it hears of that", async () => {
      const strict = proxy((request) => (request.method === "PUT" ? denied() : undefined));
      const repository = await openRepository({ ...storePlace(), endpoint: strict.url });
      for (const signal of [undefined, new AbortController().signal]) {
        const source = written();
        await expect(repository.create("a", source.content, { signal })).rejects.toMatchObject({
          code: "repository_failed",
        });
        await Bun.sleep(0);
        expect(source.closed).toBe(true);
      }
    });

    test("a store that does not answer when parts are given up keeps nobody for long", async () => {
      const deaf = proxy((request) =>
        request.method === "PUT"
          ? denied()
          : request.method === "DELETE"
            ? new Promise<undefined>(() => {})
            : undefined,
      );
      const repository = await openRepository({ ...storePlace(), endpoint: deaf.url });
      const begun = performance.now();
      await expect(repository.create("a", written().content)).rejects.toMatchObject({
        data: { status: 403 },
      });
      expect(performance.now() - begun).toBeLessThan(20_000);
    }, 300_000);

    test("a list that breaks off does not pass for the whole", async () => {
      const place = storePlace();
      await (await openRepository(place)).create("a/b", text("1"));
      const cut = proxy(async (request) => {
        if (!request.url.includes("list-type")) return undefined;
        const said = await (await passedOn(request)).text();
        return new Response(said.replace("<IsTruncated>false", "<IsTruncated>true"));
      });
      const repository = await openRepository({ ...place, endpoint: cut.url });
      await expect(Array.fromAsync(repository.list("a/"))).rejects.toMatchObject({
        code: "repository_failed",
        retryable: true,
      });
    });

    test("a store that sends elsewhere, as one of another region does, is told as such, and at once", async () => {
      const elsewhere = proxy(
        () =>
          new Response("<Error><Code>PermanentRedirect</Code></Error>", {
            status: 301,
            headers: { location: "http://127.0.0.1:1/" },
          }),
      );
      const repository = await openRepository({ ...storePlace(), endpoint: elsewhere.url });
      await expect(repository.stat("a")).rejects.toMatchObject({
        message: expect.stringContaining("301 PermanentRedirect"),
        retryable: false,
      });
      expect(elsewhere.seen()).toBe(1);
    });

    test("a stream that is cut is gone on with where it stopped", async () => {
      const place = storePlace();
      const content = crypto.getRandomValues(new Uint8Array(65536));
      await (await openRepository(place)).create("cut", content);
      let cuts = 0;
      const cutting = proxy(async (request) => {
        const response = await passedOn(request);
        if (request.method !== "GET" || ++cuts > 2) return response;
        const bytes = new Uint8Array(await response.arrayBuffer());
        // Fewer bytes than it says.
        return new Response(
          new ReadableStream({
            start(stream) {
              stream.enqueue(bytes.subarray(0, 20_000));
              stream.close();
            },
          }),
          { status: response.status, headers: { "content-length": String(bytes.length) } },
        );
      });
      const repository = await openRepository({ ...place, endpoint: cutting.url });
      const got = Buffer.concat(await Array.fromAsync((await repository.read("cut"))!));
      expect(Buffer.compare(got, content)).toBe(0);
    }, 300_000);
  },
);
