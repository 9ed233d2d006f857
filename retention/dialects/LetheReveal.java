import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class LetheReveal {
  static final String TOKEN = "l[tpbq]1\\.[a-z0-9]{2}[0-9]{6}\\.[A-Za-z0-9_-]{38,}+\\.";
  static final Pattern EVERY = Pattern.compile(TOKEN);
  static final Pattern LEAF = Pattern.compile(
      "(?:-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?|true|false|null|\\{\\}|\\[\\])");
  static final DateTimeFormatter DATE = DateTimeFormatter.ofPattern("uuMMdd");

  /** What became of a token; text or bytes where its outcome is value. */
  static final class Opened {
    final String outcome;
    final String text;
    final byte[] bytes;

    Opened(String outcome, String text, byte[] bytes) {
      this.outcome = outcome;
      this.text = text;
      this.bytes = bytes;
    }
  }

  static final Opened NOT_TOKEN = new Opened("notToken", null, null);
  static final Opened NO_KEY = new Opened("noKey", null, null);
  static final Opened EXPIRED = new Opened("expired", null, null);
  static final Opened TAMPERED = new Opened("tampered", null, null);

  static final class DayKeys {
    Mac xor;
    Mac tag;
  }

  static final class Ring {
    String expired;
    String asOf;
    String first;
    final Map<String, DayKeys> days = new HashMap<>();
  }

  /** Rings that were read once; one a thread, because a Mac serves one thread. */
  static final class Reader {
    final String ringText;
    final String today;
    final Map<String, Ring> rings = new HashMap<>();

    Reader(String ringText, String today) {
      this.ringText = ringText;
      this.today = today;
      for (String block : ringText.split("\\|")) {
        String[] parts = block.split("=", -1);
        if (parts.length == 3) rings.put(parts[0], readRing(parts[1], parts[2], today));
      }
    }
  }

  static final ThreadLocal<Reader> READERS = new ThreadLocal<>();

  static Ring readRing(String marker, String text, String today) {
    Ring ring = new Ring();
    ring.expired = marker.equals("-") ? null : decodeText(unhex(marker));
    String[] lines = text.split(";");
    String[] head = lines[0].split(",", -1);
    if (head.length != 3) return ring;
    ring.asOf = head[0];
    ring.first = head[1];
    if (!head[2].isEmpty()) {
      LocalDate then = LocalDate.parse(today, DATE).minusDays(Long.parseLong(head[2]));
      String first = then.getYear() < 2000 ? "000101" : then.format(DATE);
      if (today.compareTo(ring.asOf) > 0) ring.asOf = today;
      if (first.compareTo(ring.first) > 0) ring.first = first;
    }
    for (int i = 1; i < lines.length; i++) {
      DayKeys keys = null;
      if (lines[i].length() > 6) {
        byte[] both = Base64.getUrlDecoder().decode(lines[i].substring(6));
        keys = new DayKeys();
        keys.xor = mac(Arrays.copyOfRange(both, 0, 32));
        keys.tag = mac(Arrays.copyOfRange(both, 32, 64));
      }
      ring.days.put(lines[i].substring(0, 6), keys);
    }
    return ring;
  }

  static Mac mac(byte[] key) {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(key, "HmacSHA256"));
      return mac;
    } catch (GeneralSecurityException error) {
      throw new IllegalStateException("This Java has no HmacSHA256");
    }
  }

  static byte[] unhex(String hex) {
    byte[] bytes = new byte[hex.length() / 2];
    for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
    return bytes;
  }

  static Reader reader(String ringText, String today) {
    Reader reader = READERS.get();
    if (reader == null || !reader.ringText.equals(ringText) || !reader.today.equals(today)) {
      reader = new Reader(ringText, today);
      READERS.set(reader);
    }
    return reader;
  }

  /** Strict UTF-8 without U+0000, or null. */
  static String decodeText(byte[] bytes) {
    for (byte value : bytes) if (value == 0) return null;
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException error) {
      return null;
    }
  }

  static boolean isDate(String date) {
    try {
      LocalDate.of(
          2000 + Integer.parseInt(date.substring(0, 2)),
          Integer.parseInt(date.substring(2, 4)),
          Integer.parseInt(date.substring(4)));
      return true;
    } catch (DateTimeException error) {
      return false;
    }
  }

  static boolean isCanonical(String body) {
    char last = body.charAt(body.length() - 1);
    int rest = body.length() & 3;
    return body.length() <= 87419
        && rest != 1
        && (rest != 2 || "AQgw".indexOf(last) >= 0)
        && (rest != 3 || "AEIMQUYcgkosw048".indexOf(last) >= 0);
  }

  /** What a token holds. Never throws for what a token is. */
  static Opened open(String token, String context, String ringText, String today) {
    if (!EVERY.matcher(token).matches()) return NOT_TOKEN;
    String body = token.substring(13, token.length() - 1);
    String date = token.substring(6, 12);
    if (!isCanonical(body) || !isDate(date)) return NOT_TOKEN;
    Ring ring = reader(ringText, today).rings.get(token.substring(4, 6));
    if (ring == null || ring.asOf == null) return NO_KEY;
    DayKeys keys = ring.days.get(date);
    if (date.compareTo(ring.first) < 0 || (keys == null && ring.days.containsKey(date))) return EXPIRED;
    byte[] label = context.getBytes(StandardCharsets.UTF_8);
    if (date.compareTo(ring.asOf) > 0 || keys == null || label.length > 1024) return NO_KEY;
    byte[] bytes = Base64.getUrlDecoder().decode(body);
    int tagAt = bytes.length - 16;
    keys.tag.update(token.substring(0, 13).getBytes(StandardCharsets.US_ASCII));
    keys.tag.update((byte) (label.length >> 8));
    keys.tag.update((byte) label.length);
    keys.tag.update(label);
    keys.tag.update(bytes, 0, tagAt);
    byte[] tag = keys.tag.doFinal();
    int differs = 0;
    for (int i = 0; i < 16; i++) differs |= tag[i] ^ bytes[tagAt + i];
    if (differs != 0) return TAMPERED;
    byte[] plain = Arrays.copyOfRange(bytes, 12, tagAt);
    for (int block = 0; block * 32 < plain.length; block++) {
      keys.xor.update(bytes, 0, 12);
      byte[] stream = keys.xor.doFinal(ByteBuffer.allocate(4).putInt(block).array());
      for (int i = block * 32; i < Math.min(plain.length, block * 32 + 32); i++) plain[i] ^= stream[i - block * 32];
    }
    char kind = token.charAt(1);
    if (kind == 'p' || kind == 'q') {
      int length = plain.length;
      while (length > 0 && plain[length - 1] == 0) length--;
      if (length == 0 || plain[length - 1] != (byte) 0x80) return TAMPERED;
      plain = Arrays.copyOf(plain, length - 1);
    }
    if (kind == 'b' || kind == 'q') return new Opened("value", null, plain);
    String text = decodeText(plain);
    return text == null ? TAMPERED : new Opened("value", text, plain);
  }

  static String shown(Opened opened, String token) {
    switch (opened.outcome) {
      case "value":
        return opened.text == null ? "[binary]" : opened.text;
      case "noKey":
        return "[no key]";
      case "tampered":
        return "[tampered]";
      default:
        return READERS.get().rings.get(token.substring(4, 6)).expired;
    }
  }

  /** Every token inside a text; what is no token stays. */
  public static String reveal(String text, String context, String ring, String today) {
    if (text == null || !text.contains("1.")) return text;
    StringBuilder out = new StringBuilder();
    int at = 0;
    int from = 0;
    Matcher matcher = EVERY.matcher(text);
    // Another token can start in the last four characters of this one only.
    for (int search = 0; search <= text.length() && matcher.find(search); search = matcher.end() - 4) {
      int start = matcher.start();
      int end = matcher.end();
      if (start < from) continue;
      Opened opened = open(matcher.group(), context, ring, today);
      if (opened == NOT_TOKEN) continue;
      String part = shown(opened, matcher.group());
      if (start == 0 && end == text.length()) return part;
      if (start > at) out.append(text, at, start);
      if (part != null) out.append(part);
      at = end;
      if (opened != TAMPERED) from = end;
    }
    return out.append(text, at, text.length()).toString();
  }

  /** Every token in the strings of a JSON text that are values, not names; numbers keep their digits. */
  public static String revealJson(String json, String context, String ring, String today) {
    if (json == null) return null;
    StringBuilder out = new StringBuilder();
    int at = 0;
    for (int start = json.indexOf('"'); start >= 0; ) {
      int end = start + 1;
      while (end < json.length() && json.charAt(end) != '"') end += json.charAt(end) == '\\' ? 2 : 1;
      if (end >= json.length()) break;
      String literal = json.substring(start, ++end);
      int next = end;
      while (next < json.length() && Character.isWhitespace(json.charAt(next))) next++;
      boolean isName = next < json.length() && json.charAt(next) == ':';
      if (!isName && literal.contains("1.")) {
        String text = unquote(literal);
        String part = revealString(text, context, ring, today);
        if (!part.equals(quote(text))) {
          out.append(json, at, start).append(part);
          at = end;
        }
      }
      start = json.indexOf('"', end);
    }
    return out.append(json, at, json.length()).toString();
  }

  static String revealString(String text, String context, String ring, String today) {
    if (open(text, context, ring, today) == TAMPERED) {
      Opened typed = open(text, context + "#json", ring, today);
      return typed.text != null && LEAF.matcher(typed.text).matches() ? typed.text : quote("[tampered]");
    }
    String part = reveal(text, context, ring, today);
    return part == null ? "null" : quote(part);
  }

  static String unquote(String literal) {
    StringBuilder out = new StringBuilder();
    for (int i = 1; i < literal.length() - 1; i++) {
      char letter = literal.charAt(i);
      if (letter == '\\') {
        letter = literal.charAt(++i);
        int control = "bfnrt".indexOf(letter);
        if (control >= 0) letter = "\b\f\n\r\t".charAt(control);
        else if (letter == 'u') {
          letter = (char) Integer.parseInt(literal.substring(i + 1, i + 5), 16);
          i += 4;
        }
      }
      out.append(letter);
    }
    return out.toString();
  }

  static String quote(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (int i = 0; i < text.length(); i++) {
      char letter = text.charAt(i);
      int control = "\b\f\n\r\t".indexOf(letter);
      if (control >= 0) out.append('\\').append("bfnrt".charAt(control));
      else if (letter < ' ') out.append(String.format("\\u%04x", (int) letter));
      else if (letter == '"' || letter == '\\') out.append('\\').append(letter);
      else out.append(letter);
    }
    return out.append('"').toString();
  }

  /** The bytes of a token of any kind; null where it cannot be read. */
  public static byte[] revealBytes(String token, String context, String ring, String today) {
    return token == null ? null : open(token, context, ring, today).bytes;
  }
}
