#pragma once
// What counts as one token in the Penn Treebank convention as Stanford's PTBTokenizer reads it (2014, the one that the
// COCO caption evaluation runs), written for eval/scanner.hpp. The longest match wins, then the first rule.

#include "plume/eval/scanner.hpp"

namespace plume::eval::ptb {

/// What becomes of a match.
enum Kind {
  skip,
  line_end,
  plain,
  word,       ///< without soft hyphens
  spaced,     ///< spaces become no-break spaces
  smiley,     ///< parentheses become -LRB- and -RRB-
  bracketed,  ///< parentheses become -LRB- and -RRB-, spaces no-break spaces
  dotted,     ///< with the full stop behind it
  ampersand,  ///< &amp; becomes &
  opening,    ///< quotes become ` or ``
  closing,    ///< quotes become ' or ''
  dash,       ///< --
  hyphens,    ///< three or four become --
  dots,       ///< ...
  money,      ///< cents, #, $
  fraction,   ///< 1/2
  less,
  greater,
};

inline const std::vector<Scanner::Definition>& definitions() {
  static const std::vector<Scanner::Definition> all = {
      {"line_end", R"(\r\n|[\r\n\u2028\u2029\u000B\u000C])"},
      {"gap", R"(\s|{line_end})"},
      {"apostrophe", R"(['\u0092\u2019]|&apos;)"},
      {"quote_mark", R"({apostrophe}|[`\u0091\u2018\u201B])"},
      {"dash_mark", R"([-_\u058A\u2010\u2011])"},
      {"and", R"(&amp;)"},
      {"inside", R"([,;:\u3001])"},  // behind a full stop it says that the sentence goes on

      // Letters, soft hyphen, and what older tables of letters leave out: modifiers, marks, vowel signs.
      {"letter",
       R"([\p\u00AD\u0237-\u024F\u02C2-\u02C5\u02D2-\u02DF\u02E5-\u02FF\u0300-\u036F\u0370-\u037D\u0384\u0385)"
       R"(\u03CF\u03F6\u03FC-\u03FF\u0483-\u0487\u04CF\u04F6-\u04FF\u0510-\u0525\u055A-\u055F\u0591-\u05BD)"
       R"(\u05BF\u05C1\u05C2\u05C4\u05C5\u05C7\u0615-\u061A\u063B-\u063F\u064B-\u065E\u0670\u06D6-\u06EF)"
       R"(\u06FA-\u06FF\u070F\u0711\u0730-\u074F\u0750-\u077F\u07A6-\u07B1\u07CA-\u07F5\u07FA\u0900-\u0903)"
       R"(\u093C\u093E-\u094E\u0951-\u0955\u0962\u0963\u0981-\u0983\u09BC-\u09C4\u09C7\u09C8\u09CB-\u09CD)"
       R"(\u09D7\u09E2\u09E3\u0A01-\u0A03\u0A3C-\u0A4F\u0A81-\u0A83\u0ABC-\u0ACF\u0B82\u0BBE-\u0BC2)"
       R"(\u0BC6-\u0BC8\u0BCA-\u0BCD\u0C01-\u0C03\u0C3E-\u0C56\u0D3E-\u0D44\u0D46-\u0D48\u0E30-\u0E3A)"
       R"(\u0E47-\u0E4E\u0EB1-\u0EBC\u0EC8-\u0ECD])"},
      {"letters", R"({letter}({letter}|\d)*([.!?]{letter}({letter}|\d)*)*)"},

      // 'm 's 'd 're 've 'll after a word, and n't, whose word is ASCII and does not end in n.
      {"clitic", R"({apostrophe}([msdMSD]|re|ve|ll))"},
      {"negation", R"(n{quote_mark}t)"},
      {"negated", R"([A-Za-z\u00AD]*[A-MO-Za-mo-z]\u00AD*)"},

      // Numbers.
      {"amount", R"(\d+|\d*([.:,\u00AD\u066B\u066C]\d+)+)"},
      {"date", R"(\d{1,2}[-/]\d{1,2}[-/]\d{2,4})"},
      {"ratio", R"((\d{1,4}[- \u00A0])?\d{1,4}(\\?/|\u2044)\d{1,4})"},
      {"gap_in_number", R"([- \u00A0])"},
      {"telephone",
       R"((\([0-9]{2,3}\)[ \u00A0]?|(\+\+?)?([0-9]{2,4}{gap_in_number})?[0-9]{2,4}{gap_in_number}))"
       R"([0-9]{3,4}{gap_in_number}?[0-9]{3,5})"
       R"(|((\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5})"},

      // Addresses.
      {"path", R"(/[^ \t\n\u000C\r"<>|()]+[^ \t\n\u000C\r"<>|.!?(){},-])"},
      {"full_url", R"(https?://[^ \t\n\u000C\r"<>|(){}]+[^ \t\n\u000C\r"<>|.!?(){},-])"},
      {"likely_url", R"((www\.([^ \t\n\u000C\r"<>|.!?(){},]+\.)+[a-zA-Z]{2,4})"
                     R"(|([^ \t\n\u000C\r"`'<>|.!?(){},-_$]+\.)+(com|net|org|edu))({path})?)"},
      {"email",
       R"((&lt;|<)?[a-zA-Z0-9][^ \t\n\u000C\r"<>|(){}\u00A0]*@([^ \t\n\u000C\r"<>|(){}.\u00A0]+\.)*)"
       R"([^ \t\n\u000C\r"<>|(){}.\u00A0]+(&gt;|>)?)"},
      {"file",
       R"((\p|\d)+(\.(\p|\d)+)*\.(bat|bmp|c|class|cgi|cpp|dll|doc|docx|exe|gif|gz|h|htm|html|jar|java|jpeg|jpg)"
       R"(|mov|mp3|pdf|php|pl|png|ppt|ps|py|sql|tar|txt|wav|x|xml|zip))"},

      // Markup.
      {"attribute_name", R"([A-Za-z][A-Za-z0-9_:.-]*)"},
      {"attribute", R"({attribute_name}([ ]*=[ ]*('[^'\r\n]*'|"[^"\r\n]*"|{attribute_name}))?)"},
      {"markup",
       R"(<([!?][A-Za-z-][^>\r\n]*|/?[A-Za-z][A-Za-z0-9:.-]*([ ]+{attribute})*[ ]*/?)[ ]*>)"},

      // Abbreviations, all with their period. A single letter in brackets must be upper case.
      {"month", R"(jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)"},
      {"day", R"(mon|tues?|wed|thu(rs)?|fri)"},
      {"state",
       R"(ala|ariz|[A]z|[A]rk|calif|colo|conn|ct|dak|[D]el|fla|ga|[I]ll|ind|kans?|ky|[L]a|[M]ass|md|mich|minn)"
       R"(|[M]iss|mo|mont|neb|nev|okla|[O]re|[P]a|penn|tenn|[T]ex|va|vt|[W]ash|wisc?|wyo)"},
      {"company", R"(inc|cos?|corp|pp?t[ye]s?|ltd|plc|rt|bancorp|bhd|assn|univ|intl|sys)"},
      {"counted", R"(tel|est|ext|sq)"},
      {"after_name", R"(jr|sr|bros|(ed|ph)\.d|blvd|rd|esq)"},
      {"title",
       R"(mr|mrs|ms|[M]iss|drs?|profs?|sens?|reps?|attys?|lt|col|gen|messrs|govs?|adm|rev|maj|sgt|cpl|pvt|mt|capt)"
       R"(|ste?|ave|pres|lieut|hon|brig|co?mdr|pfc|spc|supts?|det)"},
      {"initials", R"([A-Za-z](\.[A-Za-z])+)"},
      {"acronym",
       R"([A-Za-z]|{initials}|(canada|sino|korean|eu|japan|non)-u\.s|u\.s\.-(u\.k|u\.s\.s\.r))"},
      // What may end a sentence, and what does not. The first kind is read with two characters behind it.
      {"abbreviation", R"({month}|{day}|{state}|{company}|{counted}|{after_name}|etc|al|seq|bldg)"},
      {"other_abbreviation",
       R"({title}|{acronym}|vs|alex|wm|jos|cie|a\.k\.a|cf|treas|dept|invt|elec|natl|m[ft]g|ph|ft|assoc|asst)"},
      {"begins_sentence",
       R"([A]bout|[A]ccording|[A]dditionally|[A]fter|[A]n|[A]|[A]s|[A]t|[B]ut|[E]arlier|[H]e|[H]er|[H]ere)"
       R"(|[H]owever|[I]f|[I]n|[I]t|[L]ast|[M]any|[M]ore|[M]r\.|[M]s\.|[N]ow|[O]nce|[O]ne|[O]ther|[O]ur|[S]he)"
       R"(|[S]ince|[S]o|[S]ome|[S]uch|[T]hat|[T]he|[T]heir|[T]hen|[T]here|[T]hese|[T]hey|[T]his|[W]e|[W]hen)"
       R"(|[W]hile|[W]hat|[Y]et|[Y]ou|{markup})"},

      // Several parts: hyphens, slashes, elisions.
      {"elided", R"(([dDoOlL]{quote_mark}(\p|\d))?(\p|\d)+)"},
      {"joined", R"({elided}({dash_mark}{elided})*)"},
      {"hyphenated", R"([A-Za-z0-9][A-Za-z0-9.,\u00AD]*(-([A-Za-z0-9\u00AD]+|{initials}\.))+)"},
      {"capitals", R"([A-Z]+(([+&]|{and})[A-Z]+)+)"},
      {"slash_part", R"([A-Za-z0-9]+(-[A-Za-z]+){0,2})"},
      {"with_apostrophe",
       R"({apostrophe}n{apostrophe}?|[lLdDjJ]{apostrophe}|dunkin{apostrophe}|somethin{apostrophe}|ol{apostrophe})"
       R"(|{apostrophe}em|[A-HJ-XZn]{quote_mark}\p{2}\p*|{apostrophe}[2-9]0s|{apostrophe}till?)"
       R"(|\p\p*[aeiouyAEIOUY]{quote_mark}[aeiouA-Z]\p*|{apostrophe}cause|cont'd\.?|nor'easter|c'mon|e'er)"
       R"(|s'mores|ev'ry|li'l|nat'l|o{quote_mark}o)"},

      {"other_symbol",
       R"([+%&~\^|\\\u00A6-\u00A9\u00AC\u00AE-\u00B1\u00B4\u00B6-\u00B8\u00D7\u00F7\u0387\u05BE\u05C0\u05C3)"
       R"(\u05C6\u05F3\u05F4\u0600-\u0603\u0606-\u060A\u060C\u0614\u061B\u061E\u066A\u066D\u0703-\u070D)"
       R"(\u07F6-\u07F8\u0964\u0965\u0E4F\u1FBD\u2016\u2017\u2020-\u2023\u2030-\u2038\u203B\u203E-\u2042)"
       R"(\u2044\u207A-\u207F\u208A-\u208E\u2100-\u214F\u2190-\u2BFF\u3012\u30FB\uFF01-\uFF0F)"
       R"(\uFF1A-\uFF20\uFF3B-\uFF40\uFF5B-\uFF65])"},
  };
  return all;
}

inline const std::vector<Scanner::Rule>& rules() {
  static const std::vector<Scanner::Rule> all = {
      // One word, two tokens.
      {plain, "can", "not"},
      {plain, "(gon|wan)", "na"},
      {plain, "got", "ta"},
      {plain, "(lem|gim)", "me"},
      {plain, "'t", "(is|was)"},

      {spaced, "{markup}"},
      {dash, R"(&(md|mdash|ndash);|[\u0096\u0097\u2013-\u2015])"},
      {ampersand, "{and}"},
      {plain, R"(&(ht|tl|ur|lr|qc|ql|qr|odq|cdq|#[0-9]+);)"},

      // Words.
      {word, "{letters}", "{clitic}"},
      {word, "{negated}", "{negation}"},
      {word, "{letters}"},
      {word, R"({letters}\.)", "{inside}"},
      {plain, "{with_apostrophe}"},
      {plain, "y{apostrophe}", R"(\p)"},
      {plain, "{full_url}"},
      {word, "{likely_url}"},
      {word, "{likely_url}", "[^A-Za-z]"},
      {plain, "{email}"},
      {plain, R"(@[A-Za-z_][A-Za-z_0-9]*|#{letter}+)"},
      {closing, "{clitic}", "[^A-Za-z]"},
      {closing, "{negation}"},

      // Numbers and money.
      {word, "{date}"},
      {word, R"([-+]?{amount})"},
      {word,
       R"([\u207A\u207B\u208A\u208B]?([\u2070\u00B9\u00B2\u00B3\u2074-\u2079]+|[\u2080-\u2089]+))"},
      {spaced, "{ratio}"},
      {fraction, R"([\u00BC\u00BD\u00BE\u2153-\u215E])"},

      // Words of other characters.
      {ampersand,
       R"(-(rrb|lrb|rcb|lcb|rsb|lsb)-|c\.d\.s|pro-|anti-|s(&|{and})p-500|s(&|{and})ls|cap{apostrophe}n)"
       R"(|c{apostrophe}est)"},
      {plain, R"(c\+\+|[cCfF]#)"},
      {plain, R"({slash_part}(\\?/{slash_part}){1,2})"},
      {money, R"([A-Z]*\$|#)"},
      {money, R"([\u00A2-\u00A5\u0080\u20A0\u20A4\u20AC\u060B\u0E3F\uFFE0\uFFE1\uFFE5\uFFE6])"},

      // Abbreviations.
      {plain, R"((ca|figs?|prop|nos?|art|bldg|pp|op)\.)", R"({gap}?\d)"},
      // A single letter is no initial where a word follows that begins a sentence.
      {plain, "[A-Za-z]", R"(\.{gap}+{begins_sentence}{gap})"},
      {plain, R"(({abbreviation})\.)", ".."},
      {dotted, "{abbreviation}", R"(\.)"},  // at the end: the full stop is read again
      {plain, R"(({other_abbreviation})\.)"},
      {plain, "{acronym}", "{gap}"},
      {plain, R"({apostrophe}[0-9][0-9])", "{gap}"},

      {plain, "{file}", R"({gap}|[.?!,])"},
      {bracketed, "{telephone}"},

      // Punctuation.
      {opening, R"("|&quot;)", "[A-Za-z0-9$]"},
      {closing, R"("|&quot;)"},
      {less, "<|&lt;"},
      {greater, ">|&gt;"},
      {smiley, R"([<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]])", "[^A-Za-z0-9]"},
      {bracketed,
       R"([-\^x=~<>']_[-\^x=~<>']|\([-\^x=~<>'][_.]?[-\^x=~<>']\)|\([\^x=~<>']-[\^x=~<>'`]\))"},
      {bracketed, R"([(){}\[\]])"},
      {hyphens, "-+"},
      {dots, R"(\.{3,5}|(\.[ \u00A0]){2,4}\.|[\u0085\u2026])"},
      {plain, R"(@+|#+|_+|\*+|(\\\*){1,3})"},
      {plain, R"([,;:\u3001])"},
      {plain, "[?!]+"},
      {plain, R"([.\u00A1\u00BF\u037E\u0589\u061F\u06D4\u0700-\u0702\u07FA\u3002])"},
      {plain, "="},
      {plain, "/"},
      {word, "{hyphenated}", R"([^\pa-zA-Z0-9.+])"},
      {word, R"({hyphenated}\.)", "{inside}"},
      {word, "{hyphenated}"},
      {ampersand, R"({capitals}\.)", "{inside}"},
      {ampersand, "{capitals}"},
      {word, R"({joined}\.)", "{inside}"},
      {word, "{joined}"},
      {opening, "'", R"([A-Za-z][^ \t\n\r\u00A0])"},
      {closing, "{clitic}"},
      {closing,
       R"({apostrophe}|''|[`\u2018-\u201F\u0082\u0084\u0091-\u0094\u2039\u203A\u00AB\u00BB]{1,2})"},
      {plain, "<<|>>"},
      {plain, "{other_symbol}"},

      {skip, R"((\s|&nbsp;|[\u0000\u200B\u200E\u200F\uFEFF])+)"},
      {line_end, "{line_end}"},
  };
  return all;
}

}  // namespace plume::eval::ptb
