import { userInfo } from "node:os";
import { userOf } from "../approval/owned.ts";
import type { Front } from "./front.ts";

/**
 * The users of the operating system behind this process, by name (by number where there is none): the one by whom it runs, and the one who
 * called it by sudo, which nobody can keep sudo from telling. The variable USER says nothing: anybody can set it.
 */
export function usersOf(env: Front["env"]): string[] {
  const { SUDO_UID: uid, SUDO_USER: name } = env;
  const caller = uid ? [userOf(Number(uid)), ...(name ? [name] : [])] : [];
  return [...new Set([userOf(userInfo().uid), ...caller])];
}
