import { afterAll, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Approval, GOOD_FOR_MS } from "../../../engine/approval/approval.ts";
import { readOwned, uidOf, userOf } from "../../../engine/approval/owned.ts";
import { usersOf } from "../../../engine/cli/users.ts";
import { approvalFor } from "../../../engine/approval/trusted.ts";

/** Some user that is not this one: nobody needs to be able to log in as it. */
const ALICE = 54_321;
const BOB = 54_322;
const root = mkdtempSync(join(tmpdir(), "pgdba-owned-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const base = join(root, "approvals");
const own = join(base, String(ALICE));
const file = join(own, "one.json");
const now = Date.UTC(2026, 0, 1);
const approval: Approval = {
  request: "one",
  digest: "d",
  parts: {},
  by: String(ALICE),
  at: new Date(now).toISOString(),
  expires_at: new Date(now + GOOD_FOR_MS).toISOString(),
};

/** Only root can give files to another user. */
const asRoot = process.getuid?.() === 0 ? test : test.skip;

beforeEach(() => {
  if (process.getuid?.() !== 0) return;
  chmodSync(root, 0o755);
  rmSync(base, { recursive: true, force: true });
  mkdirSync(own, { recursive: true, mode: 0o755 });
  chmodSync(own, 0o755);
  chownSync(own, ALICE, ALICE);
  put(JSON.stringify(approval));
});

function put(text: string): void {
  writeFileSync(file, text);
  chmodSync(file, 0o644);
  chownSync(file, ALICE, ALICE);
}

const read = () => readOwned(base, String(ALICE), "one.json", ALICE);

asRoot("a file that only its owner can have written, in a folder of theirs, is read", () => {
  expect(read()).toEqual({ text: JSON.stringify(approval) });
  expect(readOwned(base, String(ALICE), "two.json", ALICE)).toBeUndefined();
});

const FORGED: Record<string, () => void> = {
  "the file belongs to somebody else": () => chownSync(file, BOB, BOB),
  "the folder belongs to somebody else": () => chownSync(own, BOB, BOB),
  "others may write the file": () => chmodSync(file, 0o666),
  "a group may write the file": () => chmodSync(file, 0o664),
  "others may write the folder": () => chmodSync(own, 0o777),
  "others may write the folder above": () => chmodSync(base, 0o777),
  "the folder above belongs to somebody else": () => chownSync(base, BOB, BOB),
  "it is a link to another file of the same user": () => {
    renameSync(file, join(own, "mail.json"));
    symlinkSync(join(own, "mail.json"), file);
  },
  "it is another name of a file of the same user": () => linkSync(file, join(root, "mail.json")),
  "the folder is a link to another folder of the same user": () => {
    renameSync(own, join(root, "home"));
    symlinkSync(join(root, "home"), own);
  },
};

for (const [what, forge] of Object.entries(FORGED))
  asRoot(`it is not taken when ${what}`, () => {
    forge();
    expect(read()).toHaveProperty("why");
    rmSync(join(root, "mail.json"), { force: true });
    rmSync(join(root, "home"), { recursive: true, force: true });
  });

const rule = {
  match: { caller: "agent" },
  action: "approve",
  by: { users: [String(ALICE)] },
  file: "policy.yaml",
  approvals: base,
} as const;
const approved = (more: { users?: string[]; now?: number; id?: string } = {}) =>
  approvalFor(
    { ...rule, by: { users: [String(ALICE)] } },
    { id: "one", requests: join(root, "requests"), users: [], now, ...more },
  );

asRoot("an approval by another user counts, for 15 minutes and for its request", () => {
  expect(approved()).toMatchObject({ how: "user", by: String(ALICE) });
  expect(approved({ now: now + GOOD_FOR_MS })).toMatchObject({
    why: [expect.stringMatching(/expired/)],
  });
  expect(approved({ now: now - 3600_000 })).toMatchObject({
    why: [expect.stringMatching(/later than now/)],
  });
  expect(approved({ id: "two" })).toEqual({ why: [] });
  put(JSON.stringify({ ...approval, request: "two" }));
  expect(approved()).toMatchObject({ why: [expect.stringMatching(/no approval of this request/)] });
  put("{");
  expect(approved()).toMatchObject({ why: [expect.stringMatching(/no approval of this request/)] });
});

asRoot("nobody approves what they ask for", () => {
  expect(approved({ users: ["root", String(ALICE)] })).toEqual({ why: [`${ALICE} is who asks`] });
});

test("users are found by name and by number", () => {
  const passwd = join(root, "passwd");
  writeFileSync(passwd, "root:x:0:0::/root:/bin/sh\nalice:x:1001:1001::/:/bin/sh\nal:x:7:7::/:/\n");
  expect(["root", "alice", "al", "1005", "bob"].map((user) => uidOf(user, passwd))).toEqual([
    0,
    1001,
    7,
    1005,
    undefined,
  ]);
  expect([0, 1001, 9].map((uid) => userOf(uid, passwd))).toEqual(["root", "alice", "9"]);
});

test("the user is not what a variable says, and who calls by sudo counts as well", () => {
  const own = userOf(process.getuid!());
  expect(usersOf({ USER: "alice", LOGNAME: "alice", SUDO_USER: "alice" })).toEqual([own]);
  expect(usersOf({ SUDO_UID: "54321", SUDO_USER: "agent" })).toEqual([own, "54321", "agent"]);
});
