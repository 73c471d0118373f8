import type { Hypothesis } from "../judge/verdict.ts";
import type { KeptDrill } from "../drills/kept.ts";
import type { Result } from "../drills/result.ts";

/** Drills in the format of JUnit: a suite each, with a case for each claim. What is not known is an error, so that no pipeline takes it for good; what the place can't do is skipped, with the reason. */
export function junit(drills: readonly KeptDrill[]): string {
  const suites = drills.map(suite);
  const sum = (of: keyof Counts) => suites.reduce((all, { counts }) => all + counts[of], 0);
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="pgdba drills" tests="${sum("tests")}" failures="${sum("failures")}" errors="${sum("errors")}" skipped="${sum("skipped")}" time="${sum("time")}">
${suites.map(({ text }) => text).join("\n")}
</testsuites>
`;
}

interface Counts {
  tests: number;
  failures: number;
  errors: number;
  skipped: number;
  time: number;
}

function suite({ drill, result }: KeptDrill): { text: string; counts: Counts } {
  const all: Case[] = casesOf(result);
  const counts = {
    tests: all.length,
    failures: all.filter(({ held }) => held === false).length,
    errors: all.filter(({ held }) => held === null).length,
    skipped: all.filter(({ held }) => held === "skipped").length,
    time: result?.seconds ?? 0,
  };
  const properties = {
    cluster: drill.cluster,
    drill: drill.id,
    verdict: result?.verdict ?? "unknown",
    seed: drill.seed ?? "none",
    command: drill.command,
    ...drill.settings,
  };
  const text = `  <testsuite name="${escaped(drill.name)}" tests="${counts.tests}" failures="${counts.failures}" errors="${counts.errors}" skipped="${counts.skipped}" time="${counts.time}" timestamp="${drill.began.slice(0, 19)}" hostname="${escaped(drill.cluster)}">
    <properties>
${Object.entries(properties)
  .map(
    ([name, value]) =>
      `      <property name="${escaped(name)}" value="${escaped(String(value))}"/>`,
  )
  .join("\n")}
    </properties>
${all.map((one) => testcase(drill.name, one)).join("\n")}
  </testsuite>`;
  return { text, counts };
}

type Case = Omit<Hypothesis, "held"> & { held: Hypothesis["held"] | "skipped" };

function casesOf(result: Result | undefined): Case[] {
  if (result === undefined)
    return [{ name: "the drill came to its end", held: null, said: "it was not checked" }];
  if (result.skipped !== undefined)
    return [{ name: "the place can do it", held: "skipped", said: result.skipped }];
  return result.hypotheses;
}

function testcase(drill: string, { name, held, said }: Case): string {
  const open = `    <testcase classname="${escaped(drill.replaceAll("/", "."))}" name="${escaped(name)}" time="0"`;
  if (held === true) return `${open}/>`;
  if (held === "skipped")
    return `${open}>
      <skipped message="${escaped(said)}"/>
    </testcase>`;
  const [word, type] = held === false ? ["failure", "does not hold"] : ["error", "not known"];
  return `${open}>
      <${word} type="${type}" message="${escaped(said)}">${escaped(said)}</${word}>
    </testcase>`;
}

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

/** XML 1.0 has no place for control characters and lone surrogates. */
function escaped(text: string): string {
  return (
    text
      .toWellFormed()
      // oxlint-disable-next-line no-control-regex -- they are what is looked for
      .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
      .replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
  );
}
