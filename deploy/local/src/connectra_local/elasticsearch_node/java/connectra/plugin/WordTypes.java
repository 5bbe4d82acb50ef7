package connectra.plugin;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

import org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter;
import org.apache.lucene.analysis.miscellaneous.WordDelimiterIterator;
import org.elasticsearch.common.settings.Settings;

/** The settings of `word_delimiter_graph`, with the names and defaults of Elasticsearch. */
final class WordTypes {
    private WordTypes() {}

    private record Option(boolean isOn, int flag) {}

    private static final Map<String, Option> OPTIONS = Map.ofEntries(
        Map.entry("generate_word_parts", new Option(true, WordDelimiterGraphFilter.GENERATE_WORD_PARTS)),
        Map.entry("generate_number_parts", new Option(true, WordDelimiterGraphFilter.GENERATE_NUMBER_PARTS)),
        Map.entry("catenate_words", new Option(false, WordDelimiterGraphFilter.CATENATE_WORDS)),
        Map.entry("catenate_numbers", new Option(false, WordDelimiterGraphFilter.CATENATE_NUMBERS)),
        Map.entry("catenate_all", new Option(false, WordDelimiterGraphFilter.CATENATE_ALL)),
        Map.entry("split_on_case_change", new Option(true, WordDelimiterGraphFilter.SPLIT_ON_CASE_CHANGE)),
        Map.entry("split_on_numerics", new Option(true, WordDelimiterGraphFilter.SPLIT_ON_NUMERICS)),
        Map.entry("preserve_original", new Option(false, WordDelimiterGraphFilter.PRESERVE_ORIGINAL)),
        Map.entry("stem_english_possessive", new Option(true, WordDelimiterGraphFilter.STEM_ENGLISH_POSSESSIVE)),
        Map.entry("ignore_keywords", new Option(false, WordDelimiterGraphFilter.IGNORE_KEYWORDS)));

    // The bits of WordDelimiterGraphFilter, which keeps their names to itself.
    private static final Map<String, Byte> TYPES = Map.of(
        "LOWER", (byte) 1,
        "UPPER", (byte) 2,
        "ALPHA", (byte) 3,
        "DIGIT", (byte) 4,
        "ALPHANUM", (byte) 7,
        "SUBWORD_DELIM", (byte) 8);

    static int flags(Settings settings) {
        int flags = 0;
        for (Map.Entry<String, Option> option : OPTIONS.entrySet()) {
            if (settings.getAsBoolean(option.getKey(), option.getValue().isOn)) {
                flags |= option.getValue().flag;
            }
        }
        return flags;
    }

    /** Rules `x => TYPE` over the usual types; those of further characters are the usual ones. */
    static byte[] table(List<String> rules) {
        byte[] table = Arrays.copyOf(WordDelimiterIterator.DEFAULT_WORD_DELIM_TABLE, WordDelimiterIterator.DEFAULT_WORD_DELIM_TABLE.length);
        for (String rule : rules) {
            String[] sides = rule.split("=>");
            char character = sides[0].trim().charAt(0);
            table[character] = TYPES.get(sides[1].trim());
        }
        return table;
    }
}
