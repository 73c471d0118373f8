export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** A place in a file; line and column count from 1. */
export type Where = { file: string; line: number; column: number };
