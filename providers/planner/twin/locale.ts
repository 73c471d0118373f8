import type { Catalogue } from "./catalogue.ts";
import { quoteLiteral } from "./names.ts";

/** A database's order of text: the options of CREATE DATABASE, what to take where the machine lacks it, and its name. */
export interface Locale {
  wanted: string;
  fallback: string;
  name: string;
}

/** Databases have a provider of their locale from here on. */
const PROVIDERS = 15;

/** The locale of the cloned database on a twin of this version. Encodings become UTF8; the language is what matters. */
export function localeOf({ locale }: Pick<Catalogue, "locale">, version: number): Locale {
  const provider = String(locale["datlocprovider"] ?? "c");
  const collate = String(locale["datcollate"] ?? "C");
  const other = locale["datlocale"] ?? locale["daticulocale"] ?? locale["datcollate"];
  const name = provider === "c" ? collate : String(other);
  const icu = (tag: string): string =>
    `LOCALE_PROVIDER icu ICU_LOCALE ${quoteLiteral(tag)} LOCALE 'C'`;
  const tag = collate.replace(/[.@].*$/, "").replaceAll("_", "-");
  const fallback = icu(/^[A-Za-z]{2,3}(-[A-Za-z]{2})?$/.test(tag) ? tag : "und");
  if (provider === "i") return { wanted: icu(name), fallback: icu("und"), name };
  if (provider === "b")
    return {
      wanted: `LOCALE_PROVIDER builtin BUILTIN_LOCALE ${quoteLiteral(name)} LOCALE 'C'`,
      fallback,
      name,
    };
  const utf8 = /^(C|POSIX)$/.test(collate) ? collate : collate.replace(/\.[^@]*/, ".UTF-8");
  if (version < PROVIDERS)
    return { wanted: `LOCALE ${quoteLiteral(utf8)}`, fallback: "LOCALE 'C'", name: utf8 };
  return { wanted: `LOCALE_PROVIDER libc LOCALE ${quoteLiteral(utf8)}`, fallback, name: utf8 };
}
