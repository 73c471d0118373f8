/** Why the follower does not do what it was asked for. */
export type Refusal =
  | { error: "held"; holder: string; left_ms: number }
  | { error: "transactions_open"; open: number }
  | { error: "unreachable"; why: string };
