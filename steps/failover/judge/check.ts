import { formatBytes } from "../../../engine/shared/units.ts";
import type { Facts } from "../facts/facts.ts";
import type { Json } from "../../../engine/types.ts";

/**
 * How a check that is not met counts. `refuse`: nothing is moved. `data_loss`: nothing is moved unless the loss is accepted. `warn`: a
 * person should know. `act`: the move itself sees to it.
 */
export const LEVELS = ["refuse", "data_loss", "warn", "act"] as const;
export type Level = (typeof LEVELS)[number];

export interface Check {
  id: string;
  /** The member or the PgBouncer that it is about; null for the cluster. */
  about: string | null;
  level: Level;
  /** `unseen`: the fact could not be had. */
  status: "ok" | "failed" | "unseen";
  figure: Json;
  threshold: Json;
  message: string;
  hint: string | null;
}

/** What is to be done, beside the facts. */
export interface Move {
  candidate: string;
  /** The run that asks: that it holds clients back itself speaks against nothing. */
  run: string;
  /** False when it was chosen and not asked for. */
  named: boolean;
  /** Bytes. */
  maxLag: number;
  /** Seconds from which a transaction is long. */
  longTransaction: number;
  /** Long transactions are cancelled. */
  cancels: boolean;
  /** There is no primary to hand over. */
  force: boolean;
  /** Members that are proven dead. */
  dead: readonly string[];
  /** The provider can make sure that a member is dead. */
  fences: boolean;
}

/** Facts in, checks out: nothing else decides. */
export type Rule = (facts: Facts, move: Move) => Check[];

interface Numbers {
  figure?: Json;
  threshold?: Json;
}

/** The results of one check about one thing. */
export function check(id: string, level: Level, about: string | null) {
  const of = (
    status: Check["status"],
    message: string,
    hint: string | null,
    { figure = null, threshold = null }: Numbers,
    at = level,
  ): Check => ({ id, about, level: at, status, figure, threshold, message, hint });
  return {
    ok: (message: string, numbers: Numbers = {}) => of("ok", message, null, numbers),
    failed: (message: string, hint: string, numbers: Numbers = {}, at = level) =>
      of("failed", message, hint, numbers, at),
    /** `at`: how it counts that nobody could see it; as a warning without it. */
    unseen: (what: string, why: string, numbers: Numbers = {}, at: Level = "warn") =>
      of("unseen", `${what} is not seen: ${why.replace(/[.?!]$/, "")}`, null, numbers, at),
  };
}

/** Bytes as a figure beside a threshold. */
export function bytes(figure: number, threshold: number) {
  return { figure, threshold, said: `${formatBytes(figure)} of ${formatBytes(threshold)}` };
}
