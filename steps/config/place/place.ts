import type { Given } from "../../settings-file.ts";
import type { Setting } from "../../../providers/postgres/settings.ts";

/** The place where settings are written: `postgresql.auto.conf` by ALTER SYSTEM, or Patroni's dynamic configuration. */
export interface Place {
  readonly kind: "alter_system" | "patroni";
  /** The settings that the server knows, by name in lower case. */
  readonly settings: ReadonlyMap<string, Setting>;
  /** The values that this place holds, by name in lower case. */
  readonly held: ReadonlyMap<string, Given>;
  /** The configured value of a setting, from any place; null when it is not configured. */
  configured(setting: Setting): string | null;
  /** The value that is configured elsewhere, and counts when this place holds none. */
  beneath(setting: Setting): string | null;
  /** Why this place can't take a value, or undefined. */
  refuses(setting: Setting, value: Given): string | undefined;
  /**
   * Before anything is touched.
   * @throws PgdbaError insufficient_privilege, with the GRANTs | step_refused for what a member's own configuration wins over
   */
  mayWrite(values: ReadonlyMap<string, Given>): Promise<void>;
  /** Writes all of it, null taking a setting out, and has the servers read it. */
  write(values: ReadonlyMap<string, Given>): Promise<void>;
  /**
   * Waits until every server has `values`, at most `patience` ms (as long as it usually takes without it).
   * @throws PgdbaError step_failed naming what a server does not have
   */
  confirm(values: ReadonlyMap<string, Given>, patience?: number): Promise<Confirmed>;
}

export interface Confirmed {
  /** Settings whose new value waits for a restart. */
  awaiting_restart: string[];
  /** Patroni's members; empty on a bare server. */
  members: { name: string; role: string; pending_restart: boolean }[];
}
