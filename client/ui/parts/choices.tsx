// Language and theme, on the first screen and in the account menu.
import type { JSX } from "preact";
import { language, languages, type Language, setLanguage, t } from "../i18n";
import { setTheme, theme, themes } from "../state/theme";

export function LanguageChoice(): JSX.Element {
  return (
    <select
      class="select"
      data-testid="language"
      aria-label={t("settings.language")}
      value={language.value}
      onChange={(event) => setLanguage(event.currentTarget.value as Language)}
    >
      {Object.entries(languages).map(([tag, name]) => (
        <option key={tag} value={tag} lang={tag}>
          {name}
        </option>
      ))}
    </select>
  );
}

export function ThemeChoice(): JSX.Element {
  return (
    <div class="segments" role="radiogroup" aria-label={t("settings.theme")}>
      {themes.map((name) => (
        <label key={name} class="segment">
          <input type="radio" name="theme" checked={theme.value === name} onChange={() => setTheme(name)} />
          <span>{t(`theme.${name}`)}</span>
        </label>
      ))}
    </div>
  );
}
