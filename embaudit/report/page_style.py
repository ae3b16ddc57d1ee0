"""The style of every page and of every piece in a notebook.

Everything is scoped to `.embaudit`, so that it reaches nothing else in a notebook. Colours are those of the
page around it, and tints of grey, red, orange and blue that read on white and on black: a notebook's theme is
not told to what it shows. Nothing is said by colour alone. Only a page of its own has colours for itself.
"""

STYLE = """
.embaudit { font: 14px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: inherit;
  max-width: 76rem; overflow-wrap: anywhere; text-align: left; }
.embaudit h1, .embaudit h2, .embaudit h3, .embaudit h4 { line-height: 1.25; font-weight: 650;
  color: inherit; }
.embaudit h1 { font-size: 1.55em; margin: 0 0 .5em; }
.embaudit h2 { font-size: 1.25em; margin: 1.6em 0 .5em; }
.embaudit h3 { font-size: 1.05em; margin: 1.1em 0 .4em; }
.embaudit h4 { font-size: 1em; margin: .9em 0 .3em; }
.embaudit p, .embaudit ul { margin: .35em 0; }
.embaudit ul { padding-left: 1.3em; }
.embaudit a { color: inherit; text-decoration: underline; text-underline-offset: .15em; }
.embaudit code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .93em;
  color: inherit; background: none; padding: 0; white-space: pre-wrap; }
.embaudit .box { overflow-x: auto; margin: .4em 0; max-width: 100%; }
.embaudit table { border-collapse: collapse; margin: 0; background: transparent; table-layout: auto;
  font-size: 1em; width: auto; }
.embaudit th, .embaudit td { text-align: left; vertical-align: top; padding: .28em .9em .28em 0;
  color: inherit; background: transparent; border: 0; white-space: normal; max-width: 34rem;
  border-bottom: 1px solid rgba(128, 128, 128, .35); }
.embaudit thead th { font-weight: 600; overflow-wrap: normal; }
.embaudit .facts > tbody > tr > td { max-width: 62rem; }
.embaudit td.name { min-width: 11rem; }
.embaudit td.told { min-width: 14rem; }
.embaudit td.number, .embaudit th.number { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.embaudit td.date { white-space: nowrap; }
.embaudit td.brief { overflow-wrap: break-word; }
.embaudit tbody th { font-weight: 600; overflow-wrap: normal; }
.embaudit summary { cursor: pointer; padding: .15em 0; }
.embaudit details > :not(summary) { margin-left: 1.1em; }
.embaudit svg { display: block; margin: .4em 0; }
.embaudit .note { opacity: .85; }
.embaudit .label { display: inline-block; font-weight: 650; font-size: .86em; padding: .05em .55em;
  border-radius: .3em; border: 1px solid var(--embaudit-mark, rgba(128, 128, 128, .6));
  background: var(--embaudit-tint, rgba(128, 128, 128, .14)); white-space: nowrap; }
.embaudit .error { --embaudit-mark: #d33; --embaudit-tint: rgba(221, 51, 51, .14); }
.embaudit .warning { --embaudit-mark: #c77700; --embaudit-tint: rgba(214, 137, 16, .16); }
.embaudit .info { --embaudit-mark: #2a7fd0; --embaudit-tint: rgba(42, 127, 208, .14); }
.embaudit .good { --embaudit-mark: #2e8b57; --embaudit-tint: rgba(46, 139, 87, .16); }
.embaudit .verdict { border: 1px solid rgba(128, 128, 128, .35); border-radius: .3em; padding: .5em .9em;
  border-left: 5px solid var(--embaudit-mark, #888); background: var(--embaudit-tint, none);
  margin: .4em 0 .8em; font-size: 1.08em; }
.embaudit .finding { border-left: 4px solid var(--embaudit-mark, #888); padding: .1em 0 .1em .9em;
  margin: 1em 0; }
.embaudit .finding h3 { margin: 0 0 .25em; font-size: 1em; }
.embaudit .finding p { margin: .25em 0; }
"""
"""What pages and pieces share."""

PAGE_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1c2024; }
@media (prefers-color-scheme: dark) { :root { --ground: #15181c; --ink: #e4e7eb; } }
html { background: var(--ground); color: var(--ink); -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1.6rem 1.2rem 4rem; max-width: 76rem; }
.embaudit :focus-visible { outline: 3px solid #2a7fd0; outline-offset: 2px; }
.embaudit nav { display: flex; flex-wrap: wrap; gap: .2em 1.2em; margin: .8em 0;
  border-bottom: 1px solid rgba(128, 128, 128, .35); padding-bottom: .7em; }
.embaudit .many > .finding { content-visibility: auto; contain-intrinsic-size: auto 8rem; }
.embaudit .tools { display: flex; flex-wrap: wrap; gap: .5em 1em; align-items: center; margin: .6em 0; }
.embaudit .tools label { display: inline-flex; gap: .4em; align-items: center; }
.embaudit .tools input[type=search], .embaudit .tools select { font: inherit; color: inherit;
  background: transparent; border: 1px solid rgba(128, 128, 128, .8); border-radius: .3em; padding: .25em
  .6em; max-width: 100%; min-width: 0; width: 18em; box-sizing: border-box; }
.embaudit .tools select { width: auto; background: var(--ground); }
.embaudit th button { font: inherit; font-weight: 600; color: inherit; background: none;
  border: 0; padding: 0; cursor: pointer; text-align: inherit; white-space: nowrap; }
.embaudit th button::after { content: " \\2195"; opacity: .6; }
.embaudit th[aria-sort=ascending] button::after { content: " \\2191"; opacity: 1; }
.embaudit th[aria-sort=descending] button::after { content: " \\2193"; opacity: 1; }
.embaudit [hidden] { display: none; }
@media (max-width: 40rem) {
  body { padding: 1rem .8rem 3rem; }
  .embaudit .finding { padding-left: .7em; }
  .embaudit details > :not(summary) { margin-left: .4em; }
  .embaudit .tools input[type=search] { width: 100%; }
}
@media print {
  :root { color-scheme: light; --ground: #fff; --ink: #000; }
  body { padding: 0; max-width: none; font-size: 11px; }
  .embaudit { font-size: 11px; max-width: none; }
  .embaudit .box { overflow: visible; }
  .embaudit th, .embaudit td { padding-right: .5em; max-width: none; }
  .embaudit td.name, .embaudit td.told { min-width: 0; }
  .embaudit td, .embaudit th { overflow-wrap: anywhere; }
  .embaudit td.number { white-space: normal; }
  .embaudit tr, .embaudit .verdict { break-inside: avoid; }
  .embaudit h2, .embaudit h3, .embaudit h4, .embaudit summary { break-after: avoid; }
  .embaudit .many > .finding { content-visibility: visible; }
  .embaudit details::details-content { content-visibility: visible; display: block; height: auto; }
  .embaudit nav, .embaudit .tools label, .embaudit th button::after { display: none; }
}
"""
"""What only a page of its own needs: its colours, its tools, a narrow screen, paper."""
