import { type Finding, finding, type Judging, type Severity } from "./finding.ts";

/** What a drill has broken on purpose, and has not taken back yet. */
export function faultFindings({ gathered: { cluster, faults } }: Judging): Finding[] {
  return (faults?.value ?? []).map(({ id, node, labels, inverse, deadline, state, why }) => {
    const by = `run ${labels.run}`;
    const repair = "argv" in inverse ? inverse.repair : undefined;
    const heal = `pgdba chaos heal --all --cluster ${cluster}`;
    const told: Record<typeof state, [Severity, string, string, string]> = {
      armed:
        repair === undefined
          ? [
              "warning",
              "A fault is in force",
              `${by} has broken ${node} on purpose (${id}); it ends at ${deadline} at the latest`,
              `To end it now: ${heal}.`,
            ]
          : [
              "warning",
              "Data are damaged by a drill",
              `${by} has damaged ${node} on purpose (${id}), and nothing ends that by itself`,
              `The run repairs it while it goes on. Else: ${repair}.`,
            ],
      healed: [
        "info",
        "A drill has left a note of its fault",
        `${by} ended before it had taken back ${id} on ${node}, which ended by itself at its deadline`,
        `Nothing is broken by it any more; ${heal} clears the note.`,
      ],
      failed: [
        "critical",
        "A fault could not be taken back",
        `${by} has broken ${node} on purpose (${id}), and its healer failed${why === undefined ? "" : `: ${why}`}`,
        `Mend what it says there, and then: ${heal}.`,
      ],
      lost: [
        "critical",
        "A fault has lost its healer",
        `${by} has broken ${node} on purpose (${id}), and nothing ends that by itself any more`,
        `Take it back now: ${heal}.`,
      ],
    };
    const [severity, title, message, text] = told[state];
    return finding({ severity, check: `fault-${state}`, title, object: node, message, text });
  });
}
