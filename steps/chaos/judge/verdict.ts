import type { GoesOn } from "./around.ts";
import type { Judged } from "./judge.ts";
import type { Nodes, Redundancy } from "./nodes.ts";
import type { Waits } from "./waits.ts";

/** `skipped`: nothing was broken, for the place can't do that. */
export type Verdict = "valid" | "invalid" | "unknown" | "skipped";

/** Something that a drill claims of the cluster. `held`: null when nobody can tell, with the reason in `said`. */
export interface Hypothesis {
  name: string;
  held: boolean | null;
  said: string;
}

export interface Evidence {
  judged: Judged | null;
  /** Why there is no `judged`, or why the history ends before the drill. */
  flaws: string[];
  nodes: Nodes | null;
  redundancy: Redundancy | null;
  waits: Waits[];
  /** Of the nodes that could be read: whether each holds what the leader holds. */
  copies: { node: string; equal: boolean | null; said: string }[];
  /** Told by the steps of the drill. Null: nothing was to be injected. */
  confirmed: boolean | null;
  /** Null: it is not claimed. */
  lasted: boolean | null;
  healed: boolean | null;
  /** Null: nobody knows, for the load ended with pgdba, or without a fault. */
  goes_on: GoesOn[] | null;
  /** When the fault was injected, and what the load was doing then. */
  fault: { at_ms: number; under_load: boolean } | null;
  /** Fewer acknowledged operations prove nothing. */
  least: number;
  /** The longest gap that is allowed, ms. */
  most_gap_ms: number | null;
}

/** An answer to each claim. What was not seen is never taken for good. */
export function hypotheses(seen: Evidence): Hypothesis[] {
  const { judged, nodes } = seen;
  const none = (name: string, kind: keyof Omit<Judged, "operations" | "forks">, word: string) => {
    if (judged === null) return { name, held: null, said: seen.flaws.join("; ") };
    const { count, ids } = judged[kind];
    const more = count > ids.length ? ", …" : "";
    const said = count === 0 ? `none ${word}` : `${count} ${word}: ${ids.join(", ")}${more}`;
    return { name, held: count === 0, said };
  };
  const found: Hypothesis[] = [
    none("no acknowledged write is lost", "lost", "lost"),
    none("no write is there twice", "duplicate", "there more than once"),
    none(
      "nothing is there that failed",
      "dirty",
      "there, though its client was told that it failed",
    ),
    none("nothing is there that nobody wrote", "phantom", "there, though nobody sent it"),
    none("nothing goes away that was read", "rewound", "read by a client, and gone"),
    none("one server at a time acknowledges", "split", "acknowledged while another server did"),
    forks(seen),
    {
      name: "at most one node is writable",
      ...(nodes === null
        ? { held: null, said: "no observer looked at the nodes until the end" }
        : {
            held: nodes.most_writable <= 1,
            said:
              nodes.most_writable <= 1
                ? `in ${nodes.samples} samples`
                : `${nodes.together
                    .map(({ at_ms, nodes: two }) => `${two.join(" and ")} at ${at_ms / 1000} s`)
                    .slice(0, 3)
                    .join(", ")}; ${nodes.together_ms} ms in all`,
          }),
    },
    copies(seen),
    enough(seen),
  ];
  if (seen.flaws.length > 0 && judged !== null)
    found.push({ name: "the record is whole", held: null, said: seen.flaws.join("; ") });
  if (seen.confirmed !== null || seen.fault !== null) found.push(...ofFault(seen));
  if (seen.most_gap_ms !== null) found.push(gap(seen, seen.most_gap_ms));
  return found;
}

function forks({ judged, flaws }: Evidence): Hypothesis {
  const name = "each list has one history";
  if (judged === null) return { name, held: null, said: flaws.join("; ") };
  const [first] = judged.forks;
  if (first === undefined) return { name, held: true, said: "none forked" };
  const { list, same, one, other } = first;
  return {
    name,
    held: false,
    said: `${judged.forks.length} forked, such as list ${list}: after ${same} ids in common, ${one.id} in one and ${other.id} in the other`,
  };
}

function copies(seen: Evidence): Hypothesis {
  const name = "all nodes hold the same";
  const differing = seen.copies.filter(({ equal }) => equal === false);
  const unread = seen.copies.filter(({ equal }) => equal === null);
  const said = [...differing, ...unread].map((one) => `${one.node}: ${one.said}`).join("; ");
  if (differing.length > 0) return { name, held: false, said };
  if (unread.length > 0 || seen.copies.length === 0)
    return { name, held: null, said: said || "no node could be read" };
  return { name, held: true, said: seen.copies.map(({ node }) => node).join(", ") };
}

function enough({ judged, least, flaws }: Evidence): Hypothesis {
  const name = "enough was written to tell";
  if (judged === null) return { name, held: null, said: flaws.join("; ") };
  const { ok } = judged.operations;
  return { name, held: ok >= least ? true : null, said: `${ok} acknowledged, ${least} needed` };
}

function ofFault(seen: Evidence): Hypothesis[] {
  const { confirmed, fault, healed, lasted, redundancy } = seen;
  const whole =
    lasted === null
      ? []
      : [
          {
            name: "the fault lasted until the drill took it back",
            held: lasted ? true : null,
            said: lasted
              ? "it was in force then"
              : "it had ended by its deadline (give a longer --for), the node or its process was started anew, or somebody had taken it back",
          },
        ];
  return [
    {
      name: "the fault took effect",
      held: confirmed === true ? true : null,
      said: confirmed === true ? "an independent probe saw it" : "nothing has shown that it did",
    },
    ...whole,
    {
      name: "the cluster was under load when it came",
      held: fault?.under_load === true ? true : null,
      said:
        fault === null
          ? "nobody has marked when it came"
          : `${fault.at_ms / 1000} s after the load began`,
    },
    {
      name: "the fault is gone",
      held: healed,
      said: healed === null ? "nobody has looked" : healed ? "verified" : "it is still there",
    },
    {
      name: "redundancy is back",
      // A drill that was given up has not waited for it.
      held: redundancy === null ? null : redundancy.restored_ms !== null || (healed ? false : null),
      said:
        redundancy === null
          ? "no standby streamed before, or nobody looked"
          : redundancy.restored_ms === null
            ? `fewer than ${redundancy.streaming} standbys stream, or fewer than ${redundancy.sync} are synchronous`
            : redundancy.restored_ms === 0
              ? "no standby was missed at any time"
              : `after ${redundancy.restored_ms / 1000} s`,
    },
    writes(seen),
  ];
}

/** All else may hold of a cluster that nobody can write to any more. */
function writes({ goes_on: all, healed }: Evidence): Hypothesis {
  const name = "writes go on afterwards";
  if (all === null)
    return { name, held: null, said: "the load did not last until the fault was over" };
  const said = all
    .map(({ way, after_ms: ms }) => `${way} ${ms === null ? "none" : `after ${ms / 1000} s`}`)
    .join(", ");
  const held = all.every(({ after_ms: ms }) => ms !== null);
  // Where it is not known that the fault is gone, it may be what keeps them.
  return { name, held: held || (healed ? false : null), said };
}

function gap({ waits }: Evidence, most: number): Hypothesis {
  const name = `writes go on within ${most / 1000} s`;
  // A client that is cut off together with a node is not promised anything.
  const promised = waits.filter(({ way }) => way !== "inside");
  if (promised.length === 0) return { name, held: null, said: "nothing was measured" };
  const longest = Math.max(...promised.map((one) => one.longest_gap_ms));
  const said = promised.map((one) => `${one.way} ${one.longest_gap_ms / 1000} s`).join(", ");
  return { name, held: longest <= most, said };
}

/** What is proven wrong counts, whatever else is not known. */
export function verdictOf(all: readonly Hypothesis[]): Verdict {
  if (all.some(({ held }) => held === false)) return "invalid";
  return all.some(({ held }) => held === null) ? "unknown" : "valid";
}
