/* The words that the sample shop is made of. */

export interface Country {
  readonly code: string;
  readonly name: string;
  readonly language: string;
  readonly firstNames: readonly string[];
  readonly lastNames: readonly string[];
  readonly cities: readonly (readonly [city: string, postalCode: string])[];
  /** `#` stands for the name, `1` for the house number. */
  readonly streets: readonly string[];
  /** `#` stands for a digit. */
  readonly phone: string;
  /** Country and length in digits of the account part; undefined where no IBAN is used. */
  readonly iban?: readonly [code: string, digits: number];
}

const list = (text: string) => text.split(' ');
const places = (text: string) => text.split(', ').map((place) => place.split('=') as [string, string]);

export const COUNTRIES: readonly Country[] = [
  {
    code: 'DE',
    name: 'Deutschland',
    language: 'de',
    firstNames: list('Jürgen Käthe Björn Zoë Günther Anneliese Mirjam Torsten Wiebke Sönke Ünal Heike'),
    lastNames: list('Müller-Lüdenscheidt Schäfer Groß Köhler Yılmaz Öztürk Weiß Jürgens Pfeiffer Bärwald'),
    cities: places('Köln=50667, München=80331, Görlitz=02826, Lübeck=23552, Saarbrücken=66111'),
    streets: ['Gänsemarkt 1', 'Straße der Einheit 1', 'Am Mühlbach 1a', 'Schloßallee 1'],
    phone: '+49 221 4######',
    iban: ['DE', 18],
  },
  {
    code: 'FR',
    name: 'France',
    language: 'fr',
    firstNames: list('Amélie Loïc Chloé François Hélène Maëlys Noël Anaïs Jean-Luc Éloïse'),
    lastNames: list("Lefèvre Dupré d'Aubigné Châtelain Béranger Garçon L'Hermite Noël Peña Grégoire"),
    cities: places('Lyon=69001, Orléans=45000, Besançon=25000, Nîmes=30000'),
    streets: ['1 rue de l’Église', '1 bis, avenue Foch', '1 allée des Érables'],
    phone: '+33 4 72 ## ## ##',
    iban: ['FR', 23],
  },
  {
    code: 'NL',
    name: 'Nederland',
    language: 'nl',
    firstNames: list('Sjoerd Fleur Daniël Zoë Joris Anouk Geertje Thijs'),
    lastNames: ['van den Berg', 'de Groot', "van 't Hoff", 'IJsbrandy', 'Coëlho', 'Dijkstra'],
    cities: places('Utrecht=3511 AB, Zwolle=8011 CD, ’s-Hertogenbosch=5211 EF'),
    streets: ['Kerkstraat 1', 'Prinsengracht 1-hs', 'IJweg 1'],
    phone: '+31 30 23#####',
  },
  {
    code: 'PL',
    name: 'Polska',
    language: 'pl',
    firstNames: list('Łukasz Małgorzata Paweł Żaneta Grażyna Michał Świętosława Bożena'),
    lastNames: list('Wójcik Kowalczyk Zieliński Dąbrowska Łęcki Źródłowska Święcicki'),
    cities: places('Łódź=90-001, Wrocław=50-069, Gdańsk=80-831'),
    streets: ['ul. Świętokrzyska 1', 'al. Niepodległości 1/2'],
    phone: '+48 42 63# ## ##',
    iban: ['PL', 24],
  },
  {
    code: 'ES',
    name: 'España',
    language: 'es',
    firstNames: list('Íñigo Begoña José Nuria Álvaro Inés Óscar Mª-Ángeles'),
    lastNames: list('Núñez Muñoz Ibáñez Peñalver García-Márquez Güell Ordóñez'),
    cities: places('Logroño=26001, A Coruña=15001, Málaga=29001'),
    streets: ['C/ Mayor, 1, 2º B', 'Avda. de la Constitución 1'],
    phone: '+34 952 ### ###',
    iban: ['ES', 20],
  },
  {
    code: 'US',
    name: 'United States',
    language: 'en',
    firstNames: list("LaToya Shawn D'Angelo Mary-Beth Zachary Peggy Hiroshi Xóchitl"),
    lastNames: ["O'Reilly", 'McAllister', 'Nguyen', 'St. Clair', 'Begay', 'Washington-Carver', 'Smith'],
    cities: places('Albuquerque=87102, Winston-Salem=27101, Coeur d’Alene=83814'),
    streets: ['1 Old Mill Rd', '1 N. Larchmont Blvd, Apt 4C', 'P.O. Box 1'],
    phone: '+1 505-555-01##',
  },
  {
    code: 'JP',
    name: '日本',
    language: 'ja',
    firstNames: list('陽菜 大翔 さくら 健太 美咲 翔'),
    lastNames: list('佐藤 鈴木 高橋 田中 渡辺 伊藤'),
    cities: places('札幌市=060-0001, 京都市=600-8001, 那覇市=900-0001'),
    streets: ['中央区北一条西1丁目', '下京区四条通1'],
    phone: '+81 75-###-####',
  },
  {
    code: 'GR',
    name: 'Ελλάδα',
    language: 'el',
    firstNames: list('Γιώργος Ελένη Κώστας Άννα Σωτήρης'),
    lastNames: list('Παπαδόπουλος Οικονόμου Γεωργίου Νικολαΐδη'),
    cities: places('Θεσσαλονίκη=546 24, Πάτρα=262 21'),
    streets: ['Οδός Ερμού 1', 'Λεωφ. Κηφισίας 1'],
    phone: '+30 2310 ######',
    iban: ['GR', 23],
  },
];

export const INTERESTS = list('garden kitchen bikes books hiking "vintage" music café,crème tea pets');
export const CATEGORIES = list('Home Kitchen Garden Office Sports Books Music Toys Pets Travel');
export const THINGS = list(
  'Lamp Kettle Chair Bicycle Backpack Teapot Notebook Vase Blanket Drill Puzzle Headset',
);
export const MATERIALS = list('oak steel linen wool glass bamboo leather cork ceramic');
export const COLOURS = list('red green ochre navy ivory grey plum teal');
export const COMPANIES = list(
  'Hansen Brødrene Keramos Nordwind Lumière Ferreira Kowal Aoyama Tessuti Oakridge',
);
export const OPINIONS = [
  'Arrived a day late, but works.\nWould buy again.',
  'Not what the picture shows!!',
  'My third one: the other two are still in use.',
  'Broke after a week; the shop replaced it at once.',
  'Schön verarbeitet, leider etwas klein.',
  'Correct, sans plus. Emballage\ttrès soigné.',
  'とても気に入りました。',
];
