import type { Doc, Hazard, Library, LockWord, Risk, StepRegistry } from "../types.ts";
import { type Danger, inWords, type Place, rank, saidIn, type Union, type Who } from "./danger.ts";
import { outlineOf, outlinesOf } from "./outline.ts";
import type { Report } from "./report.ts";
import { unionOf } from "./union.ts";

const IS: Readonly<Record<Risk, string>> = {
  read: "reads",
  change: "changes something",
  disruptive: "is disruptive",
  destructive: "is destructive",
};

const DOES: Readonly<Record<Hazard, string>> = {
  fault: "breaks things on purpose",
  destroys: "removes the cluster for good",
  loses: "may lose data",
};

/**
 * A runbook may say that it is more dangerous than its steps, never less. What its steps may be spared, by a `when` over parameters and
 * target alone, is judged when it is run. @returns what it does in any case
 */
export async function checkDanger(
  doc: Doc,
  { registry, library, report }: { registry: StepRegistry; library: Library; report: Report },
): Promise<Danger> {
  const said = saidIn(doc.data);
  const add = (
    { path, key }: Place,
    who: Who,
    { rule, text, hint }: { rule: string; text: string; hint: string },
  ) => report.add(path, { rule, message: `${inWords(who, doc.name)} ${text}`, hint }, key);

  /** A step type of the user may do less, and only not say so. */
  const orInType = ({ path }: Place): string =>
    registry.own?.has(String(path.at(-1)))
      ? " A step type of your own that changes something is disruptive unless it says `risk` itself."
      : "";

  const check = (part: Union, place: Place): void => {
    if (rank(part.risk) > rank(said.risk)) {
      add(place, part.riskBy, {
        rule: "risk-too-low",
        text: `${IS[part.risk]}, and the runbook says ${said.risk}`,
        hint: `Say \`risk: ${part.risk}\`.${orInType(place)}`,
      });
    }
    for (const [hazard, who] of doc.data["hazards"] === undefined ? [] : part.hazards) {
      if (said.hazards.includes(hazard)) continue;
      add(place, who, {
        rule: "hazard-not-said",
        text: `${DOES[hazard]} (hazard ${hazard}), and the runbook does not say so`,
        hint: `Add ${hazard} to \`hazards\`, or leave \`hazards\` out.`,
      });
    }
    for (const [word, who] of doc.data["locks"] === undefined ? [] : part.locks) {
      if (said.locks.includes(word) || said.locks.includes("all")) continue;
      add(place, who, {
        rule: "lock-not-said",
        text: `locks ${word}, and the runbook says ${listed(said.locks)}`,
        hint: `Add ${word} to \`locks\`, or leave \`locks\` out.`,
      });
    }
  };
  const parts = { registry, outlines: outlinesOf(library, registry) };
  const union = await unionOf(outlineOf(doc, registry), parts, { open: false }, check);
  return union.danger(doc.name);
}

function listed(words: readonly LockWord[]): string {
  return words.length === 0 ? "none" : words.join(", ");
}
