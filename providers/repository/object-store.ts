/** A repository in an object store that speaks S3. What makes an object only where none is, is the store: `If-None-Match: *`. */
import { PgdbaError } from "../../engine/errors.ts";
import { partsUntil } from "../../engine/shared/until.ts";
import type { Bytes, Repository, Signalled, Stored } from "./contract.ts";
import { checkedName, compareNames, differs, isSame } from "./object.ts";
import { type Client, storeClient, type StorePlace } from "./s3/client.ts";
import { MARKED, putParts } from "./s3/multipart.ts";
import { removeUploads } from "./s3/uploads.ts";
import { textIn } from "./s3/xml.ts";

const ONLY_NEW = { "if-none-match": "*" };
/** Streams up to this size are put at once. */
const SMALL = 8 * 1024 * 1024;

/** `key`: see `storeClient`. */
export async function openStore(place: StorePlace, key?: string): Promise<Repository> {
  return repositoryOf(storeClient(place, key), place.prefix ?? "");
}

/**
 * Tries what the store must keep: that a name is given once, whichever way an object is made.
 * @throws PgdbaError step_refused when it does not | repository_failed | missing_secret
 */
export async function makeStore(place: StorePlace): Promise<void> {
  const client = storeClient(place);
  const repository = repositoryOf(client, place.prefix ?? "");
  const name = `probe/${crypto.randomUUID()}`;
  const text = (words: string) => new TextEncoder().encode(words);
  try {
    await repository.create(name, text("first"));
    const again = await client.ask({
      method: "PUT",
      name,
      headers: ONLY_NEW,
      body: text("second"),
      answers: [412],
    });
    const parts = await putParts(client, name, one(text("third")), {});
    if (again.status !== 412 || parts !== "taken")
      throw new PgdbaError(
        "step_refused",
        `${client.where} overwrites an object though it is told not to (If-None-Match)`,
        {
          hint: "Two servers could overwrite each other's WAL there. Use a store that keeps conditional writes: AWS S3, MinIO, Ceph, Versity, Cloudflare R2.",
          nothingDone: true,
        },
      );
  } finally {
    await repository.remove([name]).catch(() => {});
  }
}

async function* one(bytes: Uint8Array): Bytes {
  yield bytes;
}

function repositoryOf(client: Client, prefix: string): Repository {
  const { where } = client;

  const put = async (name: string, body: Uint8Array, signal: AbortSignal | undefined) => {
    const mark = crypto.randomUUID();
    const headers = { ...ONLY_NEW, [MARKED]: mark };
    const { status, repeated } = await client.ask({
      method: "PUT",
      name,
      headers,
      body,
      signal,
      answers: [412],
    });
    if (status !== 412) return "made";
    // The attempt that nobody heard of may have been carried out.
    return repeated && (await markOf(client, name, signal)) === mark ? "made" : "taken";
  };

  return {
    where,
    async create(name, content, { signal } = {}) {
      checkedName(name);
      signal?.throwIfAborted();
      if (content instanceof Uint8Array) {
        if ((await put(name, content, signal)) === "made") return "made";
        const there = await read(client, prefix, name, { signal });
        if (await isSame(there, content)) return "same";
        throw differs(name, where);
      }
      if ((await stat(client, prefix, name, { signal })) !== null) throw differs(name, where);
      const source = partsUntil(content, signal)[Symbol.asyncIterator]();
      try {
        const first: Uint8Array[] = [];
        let bytes = 0;
        let ended = false;
        while (!ended && bytes < SMALL) {
          const part = await source.next();
          if (part.done) ended = true;
          else {
            first.push(new Uint8Array(part.value));
            bytes += part.value.length;
          }
        }
        const rest = async function* (): Bytes {
          yield* first.splice(0);
          for (let part = await source.next(); !part.done; part = await source.next())
            yield part.value;
        };
        const outcome = ended
          ? await put(name, Buffer.concat(first), signal)
          : await putParts(client, name, rest(), { signal });
        if (outcome === "made") return "made";
        throw differs(name, where);
      } finally {
        // What the store did not take is not read any more: whoever writes it, such as a program, must hear of that.
        await source.return(undefined);
      }
    },
    async read(name, options = {}) {
      checkedName(name);
      return read(client, prefix, name, options);
    },
    async stat(name, options = {}) {
      checkedName(name);
      return stat(client, prefix, name, options);
    },
    async *list(wanted, { signal, after } = {}) {
      yield* list(client, prefix, wanted, { signal, after });
    },
    async *names(wanted, { signal, shallow } = {}) {
      const found = list(client, prefix, wanted, {
        signal,
        ...(shallow ? { delimiter: "/" } : {}),
      });
      for await (const { name } of found) yield name;
    },
    async remove(names, { signal } = {}) {
      // In their order: what is named first is gone first.
      for (const name of names)
        await client.ask({ method: "DELETE", name: checkedName(name), signal, answers: [404] });
    },
    sweep: (before, { signal } = {}) => removeUploads(client, prefix, before, signal),
    async space() {
      return null;
    },
    async close() {},
  };
}

/** By a list: an answer to HEAD has no words to tell a missing object from a missing bucket. */
async function stat(
  client: Client,
  prefix: string,
  name: string,
  { signal }: Signalled,
): Promise<Stored | null> {
  for await (const found of list(client, prefix, name, { signal, most: 1 }))
    return found.name === name ? found : null;
  return null;
}

async function markOf(
  client: Client,
  name: string,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  const { headers } = await client.ask({ method: "HEAD", name, signal });
  return headers.get(MARKED);
}

async function* list(
  client: Client,
  prefix: string,
  wanted: string,
  {
    signal,
    after,
    most = 1000,
    delimiter,
  }: Signalled & { after?: string | undefined; most?: number; delimiter?: string },
): AsyncIterable<Stored> {
  let token: string | undefined;
  do {
    const query: Record<string, string> = {
      "list-type": "2",
      prefix: `${prefix}${wanted}`,
      "max-keys": String(most),
      ...(after === undefined ? {} : { "start-after": `${prefix}${after}` }),
      ...(token === undefined ? {} : { "continuation-token": token }),
      ...(delimiter === undefined ? {} : { delimiter }),
    };
    const { response } = await client.ask({ method: "GET", query, signal });
    const text = await response.text();
    if (textIn(text, "IsTruncated") === undefined) throw notUnderstood(client.where);
    const items = [...text.matchAll(/<(Contents|CommonPrefixes)>(.*?)<\/\1>/gs)].map(
      ([, , item = ""]) => ({
        name: (textIn(item, "Key") ?? textIn(item, "Prefix") ?? "").slice(prefix.length),
        bytes: Number(textIn(item, "Size") ?? 0),
        at: new Date(textIn(item, "LastModified") ?? 0),
      }),
    );
    // A store names the folders of a page after its objects.
    for (const one of items.toSorted((a, b) => compareNames(a.name, b.name)))
      if (after === undefined || compareNames(one.name, after) > 0) yield one;
    const isCut = textIn(text, "IsTruncated") === "true";
    token = isCut ? textIn(text, "NextContinuationToken") : undefined;
    // A list that breaks off must not pass for the whole: what it does not name would be missing.
    if (isCut && token === undefined && most > 1) throw notUnderstood(client.where);
  } while (token !== undefined && most > 1);
}

const notUnderstood = (where: string): PgdbaError =>
  new PgdbaError("repository_failed", `${where} answered with something that is no list`, {
    hint: "Is it an object store that speaks S3? A proxy may stand before it.",
    retryable: true,
  });

/** How often a stream that broke is gone on with, where it had stopped. */
const RESUMES = 5;

async function read(
  client: Client,
  prefix: string,
  name: string,
  { signal, from = 0, bytes = Infinity }: Signalled & { from?: number; bytes?: number },
): Promise<Bytes | null> {
  const ask = (at: number) =>
    client.ask({
      method: "GET",
      name,
      signal,
      answers: [404, 416],
      headers:
        at === 0 && bytes === Infinity
          ? {}
          : { range: `bytes=${at}-${bytes === Infinity ? "" : from + Math.max(bytes, 1) - 1}` },
    });
  const first = await ask(from);
  if (first.status === 404) return null;
  if (first.status === 416 || bytes === 0) {
    await first.response.body?.cancel().catch(() => {});
    return (async function* () {})();
  }
  return parts();

  async function* parts(): Bytes {
    let at = from;
    let { response } = first;
    const told = first.headers.get("content-length");
    // Something on the way may leave the length out: then a stream that ends early must not pass for the whole.
    const size = told === null ? (await stat(client, prefix, name, { signal }))?.bytes : undefined;
    const end = told === null ? Math.min(size ?? Infinity, from + bytes) : from + Number(told);
    for (let attempt = 0; ; attempt++) {
      let why: unknown;
      try {
        for await (const part of response.body ?? []) {
          at += part.length;
          yield part;
        }
      } catch (error) {
        signal?.throwIfAborted();
        why = error;
      }
      if (at >= end) return;
      if (attempt >= RESUMES)
        throw new PgdbaError("repository_failed", `${name} of ${client.where} ended early`, {
          cause: why,
          hint: "Look at the way to the store, and run again.",
          retryable: true,
        });
      ({ response } = await ask(at));
    }
  }
}
