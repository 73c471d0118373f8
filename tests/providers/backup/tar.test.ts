import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { FileSet } from "../../../providers/backup/file-set.ts";
import { tarEntries } from "../../../providers/backup/tar.ts";

interface Member {
  name: string;
  kind?: string;
  content?: Uint8Array;
  /** What its header says, where that is not the length of the content. */
  size?: Uint8Array | string;
  target?: string;
  prefix?: string;
}

/** A header of ustar as POSIX describes it. */
function header({ name, kind = "0", content, size, target = "", prefix = "" }: Member): Buffer {
  const block = Buffer.alloc(512);
  const put = (at: number, value: string | Uint8Array) =>
    block.set(Buffer.from(value as string), at);
  put(0, name);
  put(100, "0000600\0");
  put(124, size ?? `${(content?.length ?? 0).toString(8).padStart(11, "0")}\0`);
  put(136, "00000000017\0");
  put(148, "        ");
  put(156, kind);
  put(157, target);
  put(257, "ustar\x0000");
  put(345, prefix);
  const sum = block.reduce((all, byte) => all + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}

const END = Buffer.alloc(1024);

function tar(...members: Member[]): Buffer {
  const blocks = members.flatMap((one) => {
    const { content = new Uint8Array() } = one;
    return [header(one), Buffer.from(content), Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, END]);
}

/** As a network gives it: in pieces that end anywhere. */
async function* pieces(bytes: Uint8Array, length = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function read(bytes: Uint8Array, length?: number) {
  const found: { path: string; kind: string; bytes: number; target: string; sha256: string }[] = [];
  for await (const { path, kind, bytes: size, target, content } of tarEntries(
    pieces(bytes, length),
    "data.tar",
  )) {
    const hash = createHash("sha256");
    for await (const piece of content) hash.update(piece);
    found.push({ path, kind, bytes: size, target, sha256: hash.digest("hex") });
  }
  return found;
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const text = (value: string) => Buffer.from(value);

describe("a tar file", () => {
  test("files, empty ones, holes, folders and links come out as they went in, however it is cut into pieces", async () => {
    const holes = new Uint8Array(1_000_003);
    holes[500_000] = 7;
    const bytes = tar(
      { name: "base/", kind: "5" },
      { name: "base/one", content: text("one") },
      { name: "base/block", content: new Uint8Array(512).fill(3) },
      { name: "base/empty" },
      { name: "base/old", kind: "\0", content: text("of an old tar") },
      { name: "./base//holes", content: holes },
      { name: "pg_tblspc/16384", kind: "2", target: "/srv/elsewhere" },
      { name: "last", prefix: "a/long/way", content: text("x") },
    );
    const wanted = [
      ["base", "folder", 0, ""],
      ["base/one", "file", 3, text("one")],
      ["base/block", "file", 512, new Uint8Array(512).fill(3)],
      ["base/empty", "file", 0, ""],
      ["base/old", "file", 13, text("of an old tar")],
      ["base/holes", "file", holes.length, holes],
      ["pg_tblspc/16384", "link", 0, ""],
      ["a/long/way/last", "file", 1, text("x")],
    ].map(([path, kind, size, content]) => ({
      path,
      kind,
      bytes: size,
      target: kind === "link" ? "/srv/elsewhere" : "",
      sha256: sha256(Buffer.from(content as string)),
    }));
    for (const length of [1 << 20, 700, 513])
      expect(await read(bytes, length)).toEqual(wanted as never);
  });

  test("what is not read of a file is passed over", async () => {
    const bytes = tar(
      { name: "one", content: new Uint8Array(5000).fill(1) },
      { name: "two", content: text("two") },
    );
    const seen: string[] = [];
    for await (const { path, content } of tarEntries(pieces(bytes), "data.tar")) {
      seen.push(path);
      if (path === "one") for await (const _ of content) break;
    }
    expect(seen).toEqual(["one", "two"]);
  });

  test("a size beyond 8 GB stands in base 256; one that is none is refused", async () => {
    const large = 9 * 2 ** 30 + 5;
    const size = Buffer.alloc(12);
    size[0] = 0x80;
    size.writeBigUInt64BE(BigInt(large), 4);
    let closed = false;
    const source = (async function* () {
      try {
        yield header({ name: "large", size });
        for (;;) yield new Uint8Array(1 << 20);
      } finally {
        closed = true;
      }
    })();
    for await (const entry of tarEntries(source, "data.tar")) {
      expect(entry.bytes).toBe(large);
      break;
    }
    expect(closed).toBe(true);
    const bad = [
      Buffer.alloc(12, 0xff),
      Buffer.concat([Buffer.from([0x80]), Buffer.alloc(11, 0xff)]),
      "0000000009z\0",
    ];
    for (const wrong of bad)
      await expect(read(tar({ name: "wrong", size: wrong }))).rejects.toMatchObject({
        code: "backup_damaged",
        message: expect.stringContaining("wrong has no size"),
      });
  });

  test.each([
    [{ name: "../outside" }],
    [{ name: "base/../../outside" }],
    [{ name: "base/.." }],
    [{ name: "/etc/passwd" }],
    [{ name: "outside", prefix: "../.." }],
    [{ name: "outside", prefix: "/etc" }],
    [{ name: "../outside/", kind: "5" }],
    [{ name: "../outside", kind: "2", target: "x" }],
  ])("a name that leaves the folder is refused: %p", async (member: Member) => {
    await expect(read(tar(member))).rejects.toMatchObject({
      code: "step_refused",
      message: expect.stringContaining("leaves its folder"),
    });
  });

  test.each([
    ["a long name of PAX", "x"],
    ["a setting of PAX for all", "g"],
    ["a long name of GNU", "L"],
    ["a long link of GNU", "K"],
    ["a sparse file of GNU", "S"],
    ["a hard link", "1"],
    ["a device", "3"],
    ["a pipe", "6"],
  ])("%s, which PostgreSQL never writes, is refused", async (_, kind) => {
    const member = { name: "odd", kind, content: text("x".repeat(200)), target: "/etc/passwd" };
    await expect(read(tar(member))).rejects.toMatchObject({
      code: "backup_damaged",
      message: expect.stringContaining("odd is neither file, folder nor link"),
    });
  });

  test("one that is cut anywhere is damaged, also between two files and before its end", async () => {
    const whole = tar({ name: "one", content: text("one") }, { name: "two", content: text("2") });
    for (const length of [0, 1, 100, 511, 512, 514, 600, 1023, 1024, 1500, 1537, 2048])
      await expect(read(whole.subarray(0, length))).rejects.toMatchObject({
        code: "backup_damaged",
        message: expect.stringContaining("ends too early"),
      });
    expect(await read(whole)).toHaveLength(2);
  });

  test("a header that changed, and what follows the end, are damage", async () => {
    const whole = tar({ name: "one", content: text("one") });
    for (const at of [0, 110, 130, 156, 300, 400]) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 1;
      await expect(read(changed)).rejects.toMatchObject({ code: "backup_damaged" });
    }
    await expect(read(Buffer.concat([whole, tar({ name: "more" })]))).rejects.toMatchObject({
      code: "backup_damaged",
      message: expect.stringContaining("something follows its end"),
    });
  });
});

describe("the files of a manifest", () => {
  const file = (at: number) => ({
    path: `base/${at % 7}/${at}`,
    bytes: at * 8192,
    sha256: at.toString(16).padStart(64, "0"),
  });

  test("a hundred thousand are ticked off one by one, and take a few megabytes", () => {
    const count = 100_000;
    Bun.gc(true);
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    const files = new FileSet();
    for (let at = 0; at < count; at += 1) files.add(file(at));
    files.add(file(17));
    Bun.gc(true);
    const taken = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before;
    expect(taken).toBeLessThan(12e6);
    expect(files.listed).toBe(count);
    for (let at = count - 1; at >= 0; at -= 1)
      if (at % 1000 !== 0 && !files.see(file(at))) throw new Error(`${at} is not known`);
    expect(files.missing).toBe(100);
    expect(files.wasSeen(file(1001))).toBe(true);
    expect(files.wasSeen(file(2000))).toBe(false);
    // A second time, another size, another content, another name.
    expect(files.see(file(1001))).toBe(false);
    expect(files.see({ ...file(2000), bytes: 1 })).toBe(false);
    expect(files.see({ ...file(2000), sha256: "f".repeat(64) })).toBe(false);
    expect(files.see({ ...file(2000), path: "base/0/2001" })).toBe(false);
    expect(files.see(file(2000))).toBe(true);
    expect(files.missing).toBe(99);
  });
});
