#include "plot/page.h"

#include <fmt/format.h>

namespace bridgehead::plot {
namespace {

constexpr std::string_view kPageStyle = R"(
:root{--ink:#1a1d21;--soft:#5b6470;--paper:#fff;--faint:#e3e6ea;--line:#0b6bcb;--line1:#c2410c;--line2:#15803d;--line3:#7c3aed;--note:#92400e;--wrong:#b91c1c;--box:#f6f7f9}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9aa4b0;--paper:#14171a;--faint:#343a41;--line:#5aa9ff;--line1:#fb923c;--line2:#4ade80;--line3:#c4a3ff;--note:#fbbf24;--wrong:#f87171;--box:#1c2025}}
body{font:15px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:920px;margin:2em auto;padding:0 1em}
h1{font-size:1.6em;margin-bottom:.2em}h2{font-size:1.2em;margin:2em 0 .3em}h3{font-size:1em;margin:1.6em 0 .2em}
p.soft,td.soft,figcaption{color:var(--soft)}
table{border-collapse:collapse;margin:.6em 0}th{text-align:left;font-weight:600;vertical-align:top}
th,td{padding:.2em 1.4em .2em 0}table.rows th{border-bottom:1px solid var(--soft)}table.rows td{border-bottom:1px solid var(--faint)}
td.number{text-align:right;font-variant-numeric:tabular-nums}
.box{background:var(--box);border-left:4px solid var(--line);padding:.6em 1em;margin:1em 0}.box.warn{border-color:var(--note)}.box.wrong{border-color:var(--wrong)}
.wrong{color:var(--wrong);font-weight:600}code{font-size:.92em}
figure{margin:1em 0}svg{width:100%;height:auto}text{fill:var(--ink);font-size:12px}.title{font-size:15px;font-weight:600}
.grid{stroke:var(--faint)}.axis{stroke:var(--soft)}.line{fill:none;stroke:var(--line);stroke-width:2}
.line1{stroke:var(--line1)}.line2{stroke:var(--line2)}.line3{stroke:var(--line3)}.dashed{stroke-dasharray:6 4;stroke-width:1.5}
.area,.band{fill:var(--line);fill-opacity:.15;stroke:none}.mark{fill:var(--ink);fill-opacity:.75}
.hollow{fill:var(--paper);stroke:var(--wrong);stroke-width:1.5}.limit{stroke:var(--note);stroke-dasharray:2 3;stroke-width:1.5}
.place{stroke:var(--soft);stroke-dasharray:5 4}.note{fill:var(--note)}
@media print{body{max-width:none}h2{break-after:avoid}figure,tr{break-inside:avoid}}
)";

bool is_number(std::string_view cell) {
  return !cell.empty() && (std::string_view("+-0123456789").find(cell.front()) != std::string_view::npos);
}

}  // namespace

std::string escape(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '&': safe += "&amp;"; break;
      case '"': safe += "&quot;"; break;
      case '\'': safe += "&#39;"; break;
      default: safe += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return safe;
}

std::string page(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width\"><title>{}</title><style>{}</style></head><body>\n"
      "{}</body></html>\n",
      escape(title), kPageStyle, body);
}

std::string html_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) {
  std::string text = "<table class=\"rows\">\n<tr>";
  for (const auto& cell : head) text += fmt::format("<th scope=\"col\">{}</th>", escape(cell));
  text += "</tr>\n";
  for (const auto& row : rows) {
    text += "<tr>";
    for (const auto& cell : row) {
      text += fmt::format("<td{}>{}</td>", is_number(cell) ? " class=\"number\"" : "", escape(cell));
    }
    text += "</tr>\n";
  }
  return text + "</table>\n";
}

}  // namespace bridgehead::plot
