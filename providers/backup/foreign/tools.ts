import type { ForeignTool } from "./contract.ts";
import { pgbackrest } from "./pgbackrest.ts";

export const TOOLS: readonly ForeignTool[] = [pgbackrest];
