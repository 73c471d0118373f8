import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inVersions } from "../../../steps/health/examine/select.ts";
import { sharedServer } from "../../support/postgres.ts";
import { examine, libraryWith, shortly } from "./support.ts";
import { ELSEWHERE, SCENES } from "./trials/all.ts";

const root = join(import.meta.dir, "../../..");
const names = libraryWith()
  .entries("check")
  .map(({ name }) => name.slice(name.lastIndexOf("/") + 1));
const played = new Set(SCENES.flatMap(({ trials }) => trials.map(({ check }) => check)));

test("every check is tried on a real server, or stands in the list of those that are not", () => {
  const listed = Object.keys(ELSEWHERE);
  expect(names.filter((name) => !played.has(name) && !listed.includes(name))).toEqual([]);
  expect([...played].filter((name) => !names.includes(name))).toEqual([]);
  expect(listed.filter((name) => !names.includes(name) || played.has(name))).toEqual([]);
});

test("the list says which test tries a check, or why none can", () => {
  for (const [name, where] of Object.entries(ELSEWHERE)) {
    if ("reason" in where) expect([name, where.reason.length > 40]).toEqual([name, true]);
    else {
      const file = join(root, where.test);
      expect([name, existsSync(file) && readFileSync(file, "utf8").includes(`"${name}"`)]).toEqual([
        name,
        true,
      ]);
    }
  }
});

test("a trial plants something that must be found, and a remedy that is not tried says why", () => {
  for (const { trials, name } of SCENES) {
    for (const { check, finds, remedy } of trials) {
      if (Array.isArray(finds))
        expect([name, check, finds.length > 0]).toEqual([name, check, true]);
      if (remedy !== undefined && "untried" in remedy)
        expect([name, check, remedy.untried.length > 40]).toEqual([name, check, true]);
    }
  }
});

test("every check is tried on a version that it applies to", async () => {
  const library = libraryWith();
  for (const { name } of library.entries("check")) {
    const check = name.slice(name.lastIndexOf("/") + 1);
    const { data } = await library.load(name);
    const range = data["versions"] as string | undefined;
    const versions = SCENES.flatMap(({ trials, versions: all }) =>
      trials
        .filter((trial) => trial.check === check)
        .flatMap(({ from = 13, to = 99 }) => all.filter((one) => one >= from && one <= to)),
    );
    if (played.has(check))
      expect([check, versions.some((version) => inVersions(range, version))]).toEqual([
        check,
        true,
      ]);
  }
});

test("a version past its end is told, one that is cared for is not", async () => {
  const only = ["version-end-of-life"];
  const found = async (version: 13 | 18) =>
    shortly(await examine({ ...(await sharedServer(version)) }, { only }));
  expect(await found(13)).toEqual([
    expect.stringMatching(/^(warning|critical) version-end-of-life PostgreSQL 13$/),
  ]);
  expect(await found(18)).toEqual([]);
}, 300_000);
