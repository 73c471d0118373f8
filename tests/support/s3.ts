/** A real object store that speaks S3, as the usual variables name it; the bucket `pgdba-test` is made in it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { signed } from "../../providers/repository/s3/sign.ts";

const { env } = process;
const endpoint = env["AWS_ENDPOINT_URL_S3"];
const id = env["AWS_ACCESS_KEY_ID"];
const secret = env["AWS_SECRET_ACCESS_KEY"];

export const s3: { endpoint: string; id: string; secret: string } | undefined =
  endpoint !== undefined && id !== undefined && secret !== undefined
    ? { endpoint, id, secret }
    : undefined;

export const withoutS3 =
  "no object store: set AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

if (s3 === undefined && (env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes("s3"))
  throw new Error(withoutS3);

const folder = mkdtempSync(join(tmpdir(), "pgdba-s3-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

export function keyFile(key = `${id}:${secret}`): string {
  const file = join(folder, crypto.randomUUID());
  writeFileSync(file, `${key}\n`, { mode: 0o600 });
  return file;
}

/** A place that nobody else uses; at another URL where something stands before the store. */
export function storePlace(at = s3!.endpoint) {
  return {
    kind: "object_store",
    endpoint: at,
    bucket: "pgdba-test",
    prefix: `${crypto.randomUUID()}/`,
    key_file: keyFile(),
  } as const;
}

export async function makeBucket(): Promise<void> {
  const url = new URL(`${s3!.endpoint}/pgdba-test`);
  const wanted = { method: "PUT", url, headers: {}, body: new Uint8Array(0) };
  const headers = signed(wanted, s3!, "us-east-1", new Date());
  const { status } = await fetch(url, { method: "PUT", headers });
  if (status !== 200 && status !== 409) throw new Error(`the bucket can't be made: ${status}`);
}
