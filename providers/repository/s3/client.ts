import { PgdbaError } from "../../../engine/errors.ts";
import { readText } from "../../../engine/shared/read-file.ts";
import { sleep } from "../../../engine/shared/sleep.ts";
import type { Place } from "../contract.ts";
import { encoded, type Key, signed } from "./sign.ts";

export type StorePlace = Extract<Place, { kind: "object_store" }>;

export interface Ask {
  method: "GET" | "PUT" | "POST" | "DELETE" | "HEAD";
  /** Of the object, with the prefix of the place; none asks the bucket. */
  name?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Uint8Array | undefined;
  signal?: AbortSignal | undefined;
  /** Statuses that are answers, beside those of success. */
  answers?: readonly number[];
}

export interface Answer {
  status: number;
  headers: Headers;
  /** Of one that is no success: the store's word for it, such as NoSuchKey. */
  code: string | undefined;
  response: Response;
  /** An earlier attempt may have been carried out though nobody heard of it. */
  repeated: boolean;
}

export interface Client {
  where: string;
  ask(what: Ask): Promise<Answer>;
}

const ATTEMPTS = 6;
const FIRST_PAUSE_MS = 200;
/** How long the store may take to begin its answer, beside a second for each MB that it is given. */
const ANSWER_MS = 30_000;
const FULL: ReadonlySet<string> = new Set([
  "InsufficientStorage",
  "QuotaExceeded",
  "XMinioStorageFull",
  "EntityTooLarge",
  "NotEnoughSpace",
]);

/** `given`: the key itself, where no file holds it yet. @throws PgdbaError missing_secret */
export function storeClient(place: StorePlace, given?: string): Client {
  const key = keyIn(place.key_file, given);
  const { endpoint, bucket, prefix = "", region = "us-east-1" } = place;
  const where = `s3://${bucket}/${prefix} at ${endpoint}`;
  const base = `${endpoint.replace(/\/$/, "")}/${encoded(bucket)}`;
  const tls =
    place.cafile === undefined
      ? {}
      : { tls: { ca: readText(place.cafile, { maxBytes: 1024 * 1024 }) } };

  const once = async ({ method, name, query = {}, headers = {}, body, signal }: Ask) => {
    const path =
      name === undefined ? "/" : `/${`${prefix}${name}`.split("/").map(encoded).join("/")}`;
    const url = new URL(`${base}${name === undefined ? "" : path}`);
    for (const [word, value] of Object.entries(query)) url.searchParams.set(word, value);
    const bytes = body ?? new Uint8Array(0);
    const late = AbortSignal.timeout(ANSWER_MS + bytes.length / 1000);
    const begun = new AbortController();
    const giveUp = () => begun.abort(late.reason);
    late.addEventListener("abort", giveUp, { once: true });
    try {
      return await fetch(url, {
        method,
        headers: signed({ method, url, headers, body: bytes }, key, region, new Date()),
        ...(body === undefined ? {} : { body: bytes as Uint8Array<ArrayBuffer> }),
        // To another region or host: the signature holds for none but this one.
        redirect: "manual",
        signal: AbortSignal.any([begun.signal, ...(signal ? [signal] : [])]),
        ...tls,
      });
    } finally {
      late.removeEventListener("abort", giveUp);
    }
  };

  return {
    where,
    async ask(what) {
      let why: PgdbaError | undefined;
      for (let attempt = 0, pause = FIRST_PAUSE_MS; attempt < ATTEMPTS; attempt++, pause *= 2) {
        if (attempt > 0) await sleep(pause, what.signal);
        what.signal?.throwIfAborted();
        let response: Response;
        try {
          response = await once(what);
        } catch (error) {
          what.signal?.throwIfAborted();
          why = silent(where, error);
          continue;
        }
        const { status, headers } = response;
        const repeated = attempt > 0;
        if (response.ok) return { status, headers, code: undefined, response, repeated };
        const text = await response.text().catch(() => "");
        const code = /<Code>([^<]+)<\/Code>/.exec(text)?.[1];
        if (FULL.has(code ?? "") || status === 507) throw full(where, code);
        if (what.answers?.includes(status) && isAnswer(status, code))
          return { status, headers, code, response, repeated };
        why = refused(where, status, code);
        if (!why.retryable) throw why;
      }
      throw why!;
    },
  };
}

/** Of what is not there only this very object may be said; a bucket that is not there is no such answer. */
const isAnswer = (status: number, code: string | undefined): boolean =>
  status !== 404 || code === "NoSuchKey" || code === "NoSuchUpload";

function keyIn(file: string, given: string | undefined): Key {
  const text =
    given ??
    readText(file, {
      maxBytes: 4096,
      code: "missing_secret",
      hint: "It holds the id of the key, a colon, and the key; `pgdba backup setup` writes it.",
    }).trim();
  const at = text.indexOf(":");
  if (at > 0) return { id: text.slice(0, at), secret: text.slice(at + 1) };
  throw new PgdbaError("missing_secret", `${file} holds no key to an object store`, {
    hint: "Write the id of the key, a colon, and the key.",
  });
}

function silent(where: string, cause: unknown): PgdbaError {
  const { code, message } = (cause ?? {}) as { code?: string; message?: string };
  return new PgdbaError("repository_failed", `${where} does not answer: ${code ?? message}`, {
    cause,
    hint: "Look whether the store runs and is reached from here, and run again.",
    retryable: true,
  });
}

function refused(where: string, status: number, code: string | undefined): PgdbaError {
  const said = code === undefined ? `${status}` : `${status} ${code}`;
  // A conflict is that of another one who makes the same object now.
  const passes = status >= 500 || status === 429 || status === 408 || status === 409;
  return new PgdbaError("repository_failed", `${where} answered ${said}`, {
    hint: passes
      ? "The store is overloaded or has a fault; run again later."
      : status === 403
        ? "The store does not take the key: look at its id, at what it may do, and at this machine's clock."
        : code === "NoSuchBucket"
          ? "Make the bucket first."
          : "Look at the place of the store in the cluster's entry, and at the store's own log.",
    data: { status, code: code ?? null },
    retryable: passes,
  });
}

const full = (where: string, code: string | undefined): PgdbaError =>
  new PgdbaError("repository_full", `There is no space left in ${where}`, {
    hint: "Make space: `pgdba backup expire` removes backups that are not needed any more; or enlarge the store.",
    data: { code: code ?? null },
    retryable: true,
  });
