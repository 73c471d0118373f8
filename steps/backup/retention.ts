import { defineStep } from "../define.ts";
import { backupPlace } from "./place.ts";
import { decide } from "./retention/decide.ts";
import { DECISION, POLICY, told } from "./retention/input.ts";

export default defineStep({
  type: "backup.retention",
  summary: "Tell which backups and how much WAL a policy would remove, and why each backup stays",
  docs: `Whatever the policy: the newest verified full backup stays, and one that leads to the newest timeline; so do pinned ones, whatever a kept backup
builds on, and the WAL that it needs. Nothing goes of a kind whose newest backup is not verified, nor by a clock that differs from the server's, nor more than half of
all without \`more_than_half\`. Days without backups do not count: where backups have stopped, the window of \`keep_days\` stands still.`,
  example: `- backup.retention: {keep_full: 3, keep_days: 14, keep_monthly: 12, timezone: Europe/Berlin}
`,
  effect: "read",
  idempotent: true,
  uses: ["repository", "postgres"],
  input: POLICY,
  output: DECISION,
  async run(ctx, input) {
    const { decision } = await decide(ctx, await backupPlace(ctx), input);
    return told(decision);
  },
});
