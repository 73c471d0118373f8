import { type Finding, finding, type Judging } from "./finding.ts";

/** A restore in place has moved data aside: it is under way while the server is down, and there to be confirmed once it runs. */
export function restoreFindings({ gathered: { members, nodes } }: Judging): Finding[] {
  return members.flatMap(({ name, beside }) =>
    (beside?.value ?? []).map((folder) => {
      const run = folder.slice(folder.lastIndexOf(".before-") + ".before-".length);
      const state = nodes?.value?.find(({ node }) => node === name)?.state.running;
      return state === "running"
        ? finding({
            severity: "info",
            check: "restore-unconfirmed",
            title: "The data of before a restore are kept",
            object: name,
            message: `${folder} takes room on its disk`,
            text: `When they are not needed any more: pgdba backup restore-confirm ${name} --run ${run} --yes.`,
          })
        : finding({
            severity: "warning",
            check: "restore-under-way",
            title: "A restore in place is under way, or was cut off",
            object: name,
            message: `run ${run} has moved its data to ${folder}; until it is done nobody can write`,
            text: `Look whether it still runs: pgdba runs ${run}. If it has died, pgdba resume ${run} goes on, and with --give-up it puts everything back.`,
          });
    }),
  );
}
