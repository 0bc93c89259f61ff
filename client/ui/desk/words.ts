// The words of these pages, in files of their own.
import { wordsOf } from "../i18n";
import en from "./locales/en.json";
import pt from "./locales/pt.json";
import vi from "./locales/vi.json";

export const d = wordsOf({ en, vi, pt });
