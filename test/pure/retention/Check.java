import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

/** Answers one line a call: `open|reveal|json|bytes` and four arguments in base64, with outcome and result in base64. */
public class Check {
  static String decode(String text) {
    return new String(Base64.getDecoder().decode(text), StandardCharsets.UTF_8);
  }

  static String encode(byte[] bytes) {
    return bytes == null ? "null" : Base64.getEncoder().encodeToString(bytes);
  }

  static String encode(String text) {
    return encode(text == null ? null : text.getBytes(StandardCharsets.UTF_8));
  }

  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    StringBuilder out = new StringBuilder();
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] part = line.split(" ", -1);
      String value = decode(part[1]);
      String context = decode(part[2]);
      String ring = decode(part[3]);
      String today = decode(part[4]);
      if (part[0].equals("open")) out.append(LetheReveal.open(value, context, ring, today).outcome);
      if (part[0].equals("reveal")) out.append(encode(LetheReveal.reveal(value, context, ring, today)));
      if (part[0].equals("json")) out.append(encode(LetheReveal.revealJson(value, context, ring, today)));
      if (part[0].equals("bytes")) out.append(encode(LetheReveal.revealBytes(value, context, ring, today)));
      out.append('\n');
    }
    System.out.print(out);
  }
}
