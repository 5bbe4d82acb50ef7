package connectra.plugin;

import java.io.Reader;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.IntPredicate;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.lucene.analysis.LowerCaseFilter;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.charfilter.MappingCharFilter;
import org.apache.lucene.analysis.charfilter.NormalizeCharMap;
import org.apache.lucene.analysis.core.KeywordTokenizer;
import org.apache.lucene.analysis.core.WhitespaceTokenizer;
import org.apache.lucene.analysis.miscellaneous.ASCIIFoldingFilter;
import org.apache.lucene.analysis.miscellaneous.PatternKeywordMarkerFilter;
import org.apache.lucene.analysis.miscellaneous.TrimFilter;
import org.apache.lucene.analysis.miscellaneous.WordDelimiterGraphFilter;
import org.apache.lucene.analysis.ngram.EdgeNGramTokenFilter;
import org.apache.lucene.analysis.ngram.EdgeNGramTokenizer;
import org.apache.lucene.analysis.ngram.NGramTokenFilter;
import org.apache.lucene.analysis.ngram.NGramTokenizer;
import org.apache.lucene.analysis.pattern.PatternCaptureGroupTokenFilter;
import org.apache.lucene.analysis.pattern.PatternReplaceFilter;
import org.apache.lucene.analysis.pattern.PatternTokenizer;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.analysis.AbstractTokenFilterFactory;
import org.elasticsearch.index.analysis.AbstractTokenizerFactory;
import org.elasticsearch.index.analysis.CharFilterFactory;
import org.elasticsearch.index.analysis.NormalizingCharFilterFactory;
import org.elasticsearch.index.analysis.NormalizingTokenFilterFactory;
import org.elasticsearch.index.analysis.PreConfiguredTokenFilter;
import org.elasticsearch.index.analysis.PreConfiguredTokenizer;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;

import static org.elasticsearch.plugins.AnalysisPlugin.requiresAnalysisSettings;

/** The analysis components of Elasticsearch's own analysis-common module that the product's mappings use, same names, same settings. */
final class AnalysisComponents {
    private AnalysisComponents() {}

    /** The gram sizes of one component; a spread beyond index.max_ngram_diff is refused as a full Elasticsearch refuses it. */
    private record Grams(int min, int max) {
        static Grams of(Settings settings) {
            return new Grams(settings.getAsInt("min_gram", 1), settings.getAsInt("max_gram", 2));
        }

        Grams checked(IndexSettings index, String what) {
            int allowed = index.getMaxNgramDiff();
            if (max - min > allowed) {
                throw new IllegalArgumentException("The difference between max_gram and min_gram in " + what
                    + " must be less than or equal to: [" + allowed + "] but was [" + (max - min)
                    + "]. This limit can be set by changing the [index.max_ngram_diff] index level setting.");
            }
            return this;
        }
    }

    static Map<String, AnalysisProvider<TokenFilterFactory>> tokenFilters() {
        return Map.<String, AnalysisProvider<TokenFilterFactory>>of(
            "ngram", (index, environment, name, settings) -> {
                Grams grams = Grams.of(settings).checked(index, "NGram Token Filter");
                boolean keep = settings.getAsBoolean("preserve_original", false);
                return filter(name, settings, in -> new NGramTokenFilter(in, grams.min, grams.max, keep));
            },
            "edge_ngram", (index, environment, name, settings) -> {
                Grams grams = Grams.of(settings);
                boolean keep = settings.getAsBoolean("preserve_original", false);
                return filter(name, settings, in -> new EdgeNGramTokenFilter(in, grams.min, grams.max, keep));
            },
            "keyword_marker", requiresAnalysisSettings((index, environment, name, settings) -> {
                Pattern pattern = Pattern.compile(required(settings, "keywords_pattern"));
                return filter(name, settings, in -> new PatternKeywordMarkerFilter(in, pattern));
            }),
            "pattern_capture", requiresAnalysisSettings((index, environment, name, settings) -> {
                Pattern[] patterns = settings.getAsList("patterns").stream().map(Pattern::compile).toArray(Pattern[]::new);
                boolean keep = settings.getAsBoolean("preserve_original", true);
                return filter(name, settings, in -> new PatternCaptureGroupTokenFilter(in, keep, patterns));
            }),
            "pattern_replace", requiresAnalysisSettings((index, environment, name, settings) -> {
                Pattern pattern = Pattern.compile(required(settings, "pattern"));
                String replacement = settings.get("replacement", "");
                boolean all = settings.getAsBoolean("all", true);
                return filter(name, settings, in -> new PatternReplaceFilter(in, pattern, replacement, all));
            }),
            "word_delimiter_graph", requiresAnalysisSettings((index, environment, name, settings) -> {
                byte[] table = WordTypes.table(settings.getAsList("type_table"));
                int flags = WordTypes.flags(settings);
                boolean adjust = settings.getAsBoolean("adjust_offsets", true);
                return filter(name, settings, in -> new WordDelimiterGraphFilter(in, adjust, table, flags, null));
            }),
            "lowercase", normalizing(settings -> LowerCaseFilter::new),
            "trim", normalizing(settings -> TrimFilter::new),
            "asciifolding", normalizing(settings -> {
                boolean keep = settings.getAsBoolean("preserve_original", false);
                return in -> new ASCIIFoldingFilter(in, keep);
            }));
    }

    static Map<String, AnalysisProvider<CharFilterFactory>> charFilters() {
        return Map.of("mapping", requiresAnalysisSettings((index, environment, name, settings) ->
            new MappingFilter(name, settings.getAsList("mappings"))));
    }

    /** Rules `from => to`, both trimmed, then with \\uXXXX unescaped. Usable in a normalizer too. */
    private static final class MappingFilter implements NormalizingCharFilterFactory {
        private static final Pattern RULE = Pattern.compile("(.*)\\s*=>\\s*(.*)\\s*$");
        private static final Pattern ESCAPE = Pattern.compile("\\\\u([0-9a-fA-F]{4})");
        private final String name;
        private final NormalizeCharMap map;

        MappingFilter(String name, List<String> rules) {
            NormalizeCharMap.Builder builder = new NormalizeCharMap.Builder();
            for (String rule : rules) {
                Matcher matcher = RULE.matcher(rule);
                if (!matcher.find()) {
                    throw new IllegalArgumentException("Invalid Mapping Rule : [" + rule + "]");
                }
                builder.add(unescaped(matcher.group(1).trim()), unescaped(matcher.group(2).trim()));
            }
            this.name = name;
            this.map = builder.build();
        }

        private static String unescaped(String text) {
            return ESCAPE.matcher(text)
                .replaceAll(found -> Matcher.quoteReplacement(String.valueOf((char) Integer.parseInt(found.group(1), 16))));
        }

        @Override
        public String name() {
            return name;
        }

        @Override
        public Reader create(Reader in) {
            return new MappingCharFilter(map, in);
        }
    }

    private static String required(Settings settings, String name) {
        String value = settings.get(name);
        if (value == null) {
            throw new IllegalArgumentException(name + " is missing for a filter of the analysis");
        }
        return value;
    }

    static Map<String, AnalysisProvider<TokenizerFactory>> tokenizers() {
        return Map.of(
            "ngram", (index, environment, name, settings) -> {
                Grams grams = Grams.of(settings).checked(index, "NGram Tokenizer");
                IntPredicate wanted = tokenChars(settings);
                return tokenizer(index, settings, name, () -> new NGramTokenizer(grams.min, grams.max) {
                    @Override
                    protected boolean isTokenChar(int character) {
                        return wanted.test(character);
                    }
                });
            },
            "edge_ngram", (index, environment, name, settings) -> {
                Grams grams = Grams.of(settings);
                IntPredicate wanted = tokenChars(settings);
                return tokenizer(index, settings, name, () -> new EdgeNGramTokenizer(grams.min, grams.max) {
                    @Override
                    protected boolean isTokenChar(int character) {
                        return wanted.test(character);
                    }
                });
            },
            "pattern", (index, environment, name, settings) -> {
                Pattern pattern = Pattern.compile(settings.get("pattern", "\\W+"));
                int group = settings.getAsInt("group", -1);
                return tokenizer(index, settings, name, () -> new PatternTokenizer(pattern, group));
            },
            "keyword", (index, environment, name, settings) -> {
                int size = settings.getAsInt("buffer_size", KeywordTokenizer.DEFAULT_BUFFER_SIZE);
                return tokenizer(index, settings, name, () -> new KeywordTokenizer(size));
            },
            "whitespace", (index, environment, name, settings) -> tokenizer(index, settings, name, WhitespaceTokenizer::new));
    }

    /** What an analyzer or normalizer may name without defining it first; "lowercase" is the bare server's own. */
    static List<PreConfiguredTokenFilter> readyTokenFilters() {
        return List.of(
            PreConfiguredTokenFilter.singleton("asciifolding", true, ASCIIFoldingFilter::new),
            PreConfiguredTokenFilter.singleton("trim", true, TrimFilter::new),
            PreConfiguredTokenFilter.singleton("ngram", false, in -> new NGramTokenFilter(in, 1, 2, false)),
            PreConfiguredTokenFilter.singleton("edge_ngram", false, in -> new EdgeNGramTokenFilter(in, 1, 2, false)));
    }

    static List<PreConfiguredTokenizer> readyTokenizers() {
        return List.of(
            PreConfiguredTokenizer.singleton("keyword", KeywordTokenizer::new),
            PreConfiguredTokenizer.singleton("whitespace", WhitespaceTokenizer::new),
            PreConfiguredTokenizer.singleton("ngram", () -> new NGramTokenizer(1, 2)),
            PreConfiguredTokenizer.singleton("edge_ngram", () -> new EdgeNGramTokenizer(1, 2)));
    }

    private static TokenFilterFactory filter(String name, Settings settings, UnaryOperator<TokenStream> make) {
        return new AbstractTokenFilterFactory(name, settings) {
            @Override
            public TokenStream create(TokenStream in) {
                return make.apply(in);
            }
        };
    }

    /** A filter of characters, one token in and one out, which a normalizer may therefore use too. */
    private static AnalysisProvider<TokenFilterFactory> normalizing(Function<Settings, UnaryOperator<TokenStream>> configure) {
        return (index, environment, name, settings) -> new NormalizingFilter(name, settings, configure.apply(settings));
    }

    private static final class NormalizingFilter extends AbstractTokenFilterFactory implements NormalizingTokenFilterFactory {
        private final UnaryOperator<TokenStream> make;

        NormalizingFilter(String name, Settings settings, UnaryOperator<TokenStream> make) {
            super(name, settings);
            this.make = make;
        }

        @Override
        public TokenStream create(TokenStream in) {
            return make.apply(in);
        }
    }

    private static TokenizerFactory tokenizer(IndexSettings index, Settings settings, String name, Supplier<Tokenizer> make) {
        return new AbstractTokenizerFactory(index, settings, name) {
            @Override
            public Tokenizer create() {
                return make.get();
            }
        };
    }

    /** The characters an n-gram may consist of: any of the named kinds, or all if none is named. */
    private static IntPredicate tokenChars(Settings settings) {
        return settings.getAsList("token_chars").stream().map(AnalysisComponents::charKind).reduce(IntPredicate::or).orElse(c -> true);
    }

    private static IntPredicate charKind(String kind) {
        return switch (kind) {
            case "letter" -> Character::isLetter;
            case "digit" -> Character::isDigit;
            case "whitespace" -> Character::isWhitespace;
            case "punctuation" -> c -> switch (Character.getType(c)) {
                case Character.START_PUNCTUATION, Character.END_PUNCTUATION, Character.OTHER_PUNCTUATION,
                    Character.CONNECTOR_PUNCTUATION, Character.DASH_PUNCTUATION,
                    Character.INITIAL_QUOTE_PUNCTUATION, Character.FINAL_QUOTE_PUNCTUATION -> true;
                default -> false;
            };
            case "symbol" -> c -> switch (Character.getType(c)) {
                case Character.CURRENCY_SYMBOL, Character.MATH_SYMBOL, Character.OTHER_SYMBOL -> true;
                default -> false;
            };
            default -> throw new IllegalArgumentException("Unknown token type: '" + kind + "'");
        };
    }
}
