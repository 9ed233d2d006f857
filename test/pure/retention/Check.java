import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Properties;

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

  /** The variables of one policy, in order, as the driver finds them in properties of a connection. */
  static String readProperties(String text) throws Exception {
    Properties properties = new Properties();
    properties.load(new StringReader(text));
    StringBuilder joined = new StringBuilder();
    for (int i = 0; properties.containsKey("$LETHE_IP_" + i); i++)
      joined.append(properties.getProperty("$LETHE_IP_" + i));
    return joined.toString();
  }

  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    StringBuilder out = new StringBuilder();
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] part = line.split(" ", -1);
      if (part[0].equals("properties")) {
        out.append(encode(readProperties(decode(part[1])))).append('\n');
        continue;
      }
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
