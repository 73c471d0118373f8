import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConf, readWanted, wantedFrom } from "../../steps/settings-file.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "pgdba-document-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function read(name: string, text: string): Promise<object> {
  await writeFile(join(dir, name), text);
  return Object.fromEntries(await readWanted(dir, name));
}

describe("lines of postgresql.conf", () => {
  test("names, values, quotes, escapes and comments as the server reads them", () => {
    const text = `
# a comment
work_mem = 4MB   # why
  random_page_cost 1.1
archive_command='cp "%p" ''/a b''/%f' # x
log_line_prefix = '%m\\t[%p]\\'\\101'
auto_explain.log_analyze = on
empty = ''
work_mem=8MB\r
`;
    expect(Object.fromEntries(parseConf("f", text))).toEqual({
      work_mem: "8MB",
      random_page_cost: "1.1",
      archive_command: `cp "%p" '/a b'/%f`,
      log_line_prefix: "%m\t[%p]'A",
      "auto_explain.log_analyze": "on",
      empty: "",
    });
  });

  test.each([
    ["work_mem"],
    ["= 4MB"],
    ["work_mem = 4 MB"],
    ["a = 'open"],
    ["a = b c"],
    ["include = 'x'"],
    ["include_dir 'x'"],
    ["1a = 2"],
    [""],
  ])("%p is refused", (line) => {
    expect(() => parseConf("f", line)).toThrow(expect.objectContaining({ code: "invalid_param" }));
  });
});

test("an answer from which settings were left out is refused, one that lacks something else is not", async () => {
  const answer = (cut: object) =>
    JSON.stringify({ data: { settings: [{ name: "work_mem", value: "4MB" }], cut } });
  expect(await read("whole.json", answer({ "run.steps": 9 }))).toEqual({ work_mem: "4MB" });
  expect(
    await read("cut.json", answer({ settings: 322, "run.steps": 9 })).catch((error) => error),
  ).toMatchObject({ code: "invalid_param", hint: expect.stringContaining("--full") });
});

test("YAML keeps values as written, and null takes out", async () => {
  expect(
    await read(
      "a.yaml",
      "work_mem: 64MB\nrandom_page_cost: 1.10\njit: off\nssl: true\nlog_file_mode: 0640\nx: null\ny: ~\nz:\n",
    ),
  ).toEqual({
    work_mem: "64MB",
    random_page_cost: "1.10",
    jit: "off",
    ssl: "true",
    log_file_mode: "0640",
    x: null,
    y: null,
    z: "",
  });
});

test("JSON, plain and as our own commands print it", async () => {
  expect(
    await read("a.json", '{"work_mem": "64MB", "random_page_cost": 1.1, "jit": false, "x": null}'),
  ).toEqual({
    work_mem: "64MB",
    random_page_cost: 1.1,
    jit: false,
    x: null,
  });
  const settings = { work_mem: { value: "4MB", reason: "r", source: "s", addition: false } };
  expect(await read("tune.json", JSON.stringify({ success: true, data: { settings } }))).toEqual({
    work_mem: "4MB",
  });
  const shown = [
    { name: "work_mem", value: "4MB", unit: "kB" },
    { name: "bonjour_name", value: null },
  ];
  expect(
    await read("show.json", JSON.stringify({ success: true, data: { settings: shown } })),
  ).toEqual({ work_mem: "4MB", bonjour_name: null });
});

test("what holds no settings is refused with the file's name", async () => {
  const bad = {
    "b.json": "{",
    "c.json": "[1]",
    "d.json": "3",
    "e.json": "{}",
    "f.yaml": "a: [1",
    "g.yaml": "a: {b: 1}",
    "h.yaml": "a: 1\nA: 2",
    "i.yaml": "a: 1\na: 2",
    "j.yaml": "!!omap\n- a: 1",
    "k.yaml": "a: !!binary aGVsbG8=",
    "l.yaml": "a: &x 1\nb: *x",
    "m.yaml": "[".repeat(60_000),
  };
  for (const [name, text] of Object.entries(bad)) {
    const error = await read(name, text).catch((thrown) => thrown);
    expect([name, error.code]).toEqual([name, "invalid_param"]);
    expect(error.message).toContain(join(dir, name));
  }
  expect(await readWanted(dir, "nowhere.yaml").catch((error) => error.code)).toBe("io_failed");
  expect(await read("long.conf", "#".repeat(1024 * 1024 + 1)).catch((error) => error.code)).toBe(
    "io_failed",
  );
});

test("only a regular file is read, and no more of it than a list of settings needs", async () => {
  const fifo = join(dir, "fifo");
  expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
  for (const [path, kind] of [
    ["/dev/zero", "a device"],
    [fifo, "a FIFO"],
    [dir, "a folder"],
  ] as const) {
    const error = await readWanted("/", path).catch((thrown) => thrown);
    expect([path, error.code, error.message]).toEqual([
      path,
      "io_failed",
      `${path} is ${kind}, not a file`,
    ]);
  }
  // Says that it is empty, and is not.
  expect((await readWanted("/", "/proc/self/mountinfo").catch((e) => e)).message).toContain(
    "is not `name = value`",
  );
  expect(await read("fits.conf", `a = 1\n${"#".repeat(1024 * 1024 - 6)}`)).toEqual({ a: "1" });
});

test("a map in a runbook may hold plain values and those of config.tune", () => {
  expect([...wantedFrom({ a: 1, b: { value: "x", reason: "r" }, c: null })]).toEqual([
    ["a", 1],
    ["b", "x"],
    ["c", null],
  ]);
});
