import type { PgConnection } from "./postgres.ts";

/** What `ctx.use` hands out: one entry per word of the design, each with the words of whoever provides it. */
declare module "../../engine/types.ts" {
  interface Access {
    /** The named server of a bare target, the writable primary of a cluster. */
    postgres: PgConnection;
  }
}
