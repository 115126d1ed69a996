"""Slots and sentence patterns of the story grammar: many near-equal choices for each."""

TRAITS = (
    "brave shy clever lazy curious gentle grumpy cheerful tiny tall quiet proud lonely patient "
    "hungry sleepy honest careless polite stubborn playful wise young old clumsy bold dreamy fussy "
    "nervous merry thoughtful restless kind noisy humble impatient"
).split()
PLACES = (
    "a green valley|an old mill|a quiet harbor|a stone tower|a wide meadow|a busy market|a dark forest|"
    "a small island|a snowy hill|a warm spring|a dusty library|a long river|a red barn|a hidden cave|"
    "a sunny garden|a narrow street|a foggy swamp|a glass house|a high cliff|a sleepy village|"
    "a ruined castle|a railway station|a frozen lake|a bamboo grove|a lonely lighthouse|a copper mine|"
    "a wooden bridge|an apple orchard|a sandy beach|a windy desert|a crowded school|an empty theater|"
    "a broken windmill|a fishing town|a deep canyon|a paper factory|a rose garden|a salt marsh"
).split("|")
WISHES = (
    "see the sea|learn to dance|find a friend|bake a perfect cake|fly over the clouds|build a boat|"
    "hear a new song|paint the moon|win the spring race|grow a giant pumpkin|read every book|"
    "sleep under the stars|cross the mountains|catch a falling star|open a tea shop|write a letter|"
    "play the violin|plant an orchard|visit the king|solve a riddle|keep a secret|swim like a fish|"
    "repair the old clock|sing at the fair|collect silver shells|ride the night train|make it rain|"
    "draw a map of the world|tame the wind|find the end of the river|cook for a hundred guests|"
    "whistle like a blackbird|give the best gift of all|sail to the warm south|ring the great bell|"
    "stay awake until dawn|meet a real wizard|learn a hard word"
).split("|")
PROBLEMS = (
    "a storm broke the bridge|the map got wet|a thief took the lantern|the road was full of mud|"
    "the key fell into the well|nobody knew the way|the wind was far too strong|the wheel came off|"
    "the river rose overnight|a wall blocked the path|the rope was too short|the fire went out|"
    "the bread was all gone|the boat had a leak|the gate was locked|snow covered the trail|"
    "the bell would not ring|the lamp ran out of oil|the night was too dark|a giant laughed and said no|"
    "the paint dried up|the tent flew away|the clock stopped at noon|the letter was lost|the well ran dry|"
    "the ladder broke in two|three bulls guarded the field|the ferry had already left|fog hid the shore|"
    "the money slipped through a hole|everyone else was asleep|the mayor said it was forbidden|"
    "a branch tore the sail|the ice began to crack|the shop was closed|the tickets were sold out"
).split("|")
HELPERS = (
    "an owl|a fisherman|a kind baker|an old mouse|a lost soldier|a tall girl|an old sailor|a young farmer|"
    "a friendly ghost|a blue dragon|a traveling singer|a clever ant|a retired queen|a quick rabbit|"
    "a quiet gardener|a goose|a toy maker|a wandering cook|a blind poet|a little robot|a shepherd|"
    "a talking tree|a mail carrier|a white horse|a painter|a beekeeper|a sleepy bear|a grandmother|"
    "a small boy|a street musician|a wise turtle|a clockmaker|a pirate|a night watchman|a swallow"
).split("|")
GIFTS = (
    "a silver whistle|a ball of string|a warm coat|a wooden spoon|a bag of seeds|a bright candle|"
    "a pair of boots|a jar of honey|a paper kite|a small drum|a golden button|a long rope|a tall ladder|"
    "a basket of plums|a sharp pencil|a magic pebble|a bucket of nails|a loaf of bread|a soft pillow|"
    "a glass bottle|a strange coin|an empty box|a woolen hat|a broken compass|a red umbrella|"
    "a brass key|a cup of hot tea|a feather|a folded map|a tin lantern|a walking stick|a pot of glue|"
    "a sack of flour|an old flute|a mirror|a fishing net|a pink shell"
).split("|")
LESSONS = (
    "small steps go far|friends make hard work light|asking is braver than hiding|patience pays|"
    "every road has a turn|sharing makes a feast|a mistake can be a gift|the best things take time|"
    "kind words open doors|courage can be quiet|home is where the kettle sings|nothing beats a good plan|"
    "laughter helps more than anger|listening is half of learning|luck likes those who try|"
    "old tools can do new work|it is fine to start again|even giants need help|the moon can wait|"
    "good soup needs many hands|a closed door is not a wall|a promise is worth keeping|rain also ends|"
    "a song weighs nothing|the long way can be the right way|no one is too small to help|"
    "clever is good but kind is better|fear shrinks when you share it|a rest is part of the work"
).split("|")
FEELINGS = (
    "happy proud tired calm surprised grateful inspired excited hopeful amazed thoughtful "
    "relieved amused content delighted cheerful glad brave rested warm sleepy curious peaceful bold "
    "eager shy lucky"
).split()
TIMES = (
    "One morning|One evening|Long ago|Last winter|On a rainy day|One summer|In early spring|"
    "On the first day of autumn|At midnight|One Sunday|During the harvest|Many years ago|"
    "On a very hot afternoon|Before sunrise|After the great flood|One quiet Tuesday|In the year of the big snow|"
    "On the longest night|Just before dinner|A week after the fair|One windy April|When the bells were new|"
    "On market day|Two hundred years ago|At the end of May|In a time of dragons|Not so long ago"
).split("|")
UPSETS = (
    "sad lost cold hungry angry afraid helpless small worried lonely tired foolish confused dizzy cross "
    "unlucky sorry gloomy weak upset puzzled nervous shaken bitter"
).split()
SIGHTS = (
    "the stars came out|the birds fell silent|a bell rang twice|the rain stopped|smoke rose from the roofs|"
    "the moon hid behind a cloud|a dog barked far away|the grass smelled of mint|the tide turned|"
    "children began to clap|a warm wind blew|snow started to fall|somebody laughed|the lamps were lit|"
    "a rainbow appeared|leaves danced in the air|the whole street cheered|a door creaked|fireflies glowed|"
    "the music grew louder|the sun went down|the fog lifted|an echo answered|the kettle began to sing|"
    "a train rolled past|the river sparkled"
).split("|")
DEEDS = (
    "climbed a fence|counted to fifty|drew a plan in the sand|knocked on nine doors|ran in circles|"
    "sat down and thought|shouted for joy|took a deep breath|tied seven knots|turned everything upside down|"
    "waited by the door|walked all night|whispered a rhyme|made a tower of stones|followed a trail of crumbs|"
    "listened at the wall|swept the floor|asked a scarecrow|mixed mud and straw|pushed with all might|"
    "hid under a cart|wrote a long list|crossed the field|jumped over a ditch|cut a branch|"
    "closed both eyes|opened every drawer|looked behind the hedge"
).split("|")
SAYINGS = (
    "It is now or never|Follow me|I have an idea|Nobody told me that|We can do this|Wait for me|"
    "That was not the plan|Try it once more|Look up there|This is my lucky day|I am not afraid|"
    "How hard can it be|Let us share it|I knew it|What a strange morning|Never give up|"
    "Keep it, you need it more|You are not alone|Start with the small one|Hold on tight|"
    "There must be another way|I owe you one|Slowly, slowly|Tomorrow will be better|"
    "Do not look down|Who would have thought|Leave it to me"
).split("|")
SPEAKS = "said|whispered|cried|called|muttered|answered|sang|laughed|shouted|sighed".split("|")

OPENINGS = (
    "{time}, {a_trait_hero}{called} lived near {place}.",
    "There was once {a_trait_hero}{called} who lived by {place}.",
    "Near {place} there lived {a_trait_hero}{called}.",
    "{time}, people near {place} met {a_trait_hero}{called}.",
    "In a house close to {place}, {a_trait_hero}{called} woke up.",
    "{time}, {a_trait_hero}{called} came to {place}.",
    "Everyone near {place} knew {a_trait_hero}{called}.",
    "{time}, not far from {place}, {a_trait_hero}{called} was looking for {gift2}.",
    "Once upon a time, {a_trait_hero}{called} owned {gift2} and a hut by {place}.",
    "This is the tale of {a_trait_hero}{called} from {place}.",
)
WANTS = (
    "{Name} wanted to {wish}.", "All {name} ever dreamed of was to {wish}.",
    "More than anything, {name} hoped to {wish}.", "\"One day I will {wish},\" {name} {said}.",
    "{Name} had promised to {wish}, and felt {feeling}.", "For years, {name} had tried to {wish}.",
    "It was time to {wish}, and {name} was {feeling}.", "\"I must {wish} before winter,\" {said} {name}.",
    "Nobody believed that {name} could {wish}.", "A letter asked {name} to {wish}.",
)  # fmt: skip
TROUBLES = (
    "But {problem}.", "Sadly, {problem}.", "Then {problem}, and {name} felt {upset}.",
    "Just then {problem}.", "{Name} set off at once, but {problem}.",
    "On the very first day, {problem}.", "{Name} {deed}, but {problem}.",
    "Everything went well until {problem}.", "\"Oh no,\" {said} {name}, because {problem}.",
    "As {sight}, {problem}.",
)  # fmt: skip
AIDS = (
    "{Helper} came by with {gift}.", "Soon {helper} stopped and offered {gift}.",
    "\"Take {gift},\" {said2} {helper}.", "Behind a bush sat {helper}, holding {gift}.",
    "{Name} met {helper}, who lent {them} {gift}.", "{Helper} laughed, then shared {gift}.",
    "\"{saying},\" {said2} {helper}, and gave {them} {gift}.", "While {sight}, {helper} arrived with {gift}.",
    "At {place2}, {helper} was selling {gift}.", "{Helper} {deed2} and found {gift}.",
)  # fmt: skip
MIDDLES = (
    "They worked until {sight}.", "It took {number} days and {number2} tries.",
    "The {hero} {deed}, this time with {a_trait2} smile.", "They sang all the way to {place2}.",
    "Nobody at {place2} could believe it.", "With {gift} and some luck, the plan worked.",
    "First it went wrong, then it went well.", "{A_trait2} crowd gathered at {place2}.",
    "{Name} {deed} until {sight}.", "\"{saying2},\" {said} {name}.",
    "{The_helper} {deed2}, and {name} {deed}.", "{Number} times {name} failed, and then {sight}.",
    "The {hero} felt {upset}, but {deed} anyway.", "Suddenly {sight}.",
)  # fmt: skip
ENDS = (
    "In the end, the {hero} could {wish}, and was {feeling3}.",
    "So the {hero} learned that {lesson}.",
    "That night, {name} fell asleep, {feeling3} and safe.",
    "From then on, {name} told everyone that {lesson}.",
    "And {name} never forgot {the_helper}.",
    "\"Now I know that {lesson},\" {said} {name}.",
    "{Name} kept {the_gift} and visited {the_helper} every year.",
    "When {sight}, {name} was {feeling3} and went home.",
    "At last the {hero} was able to {wish}, for {lesson}.",
    "{The_helper} smiled, and {name} felt {feeling3}.",
)  # fmt: skip
ASKS = (
    "Write a {short}story about {a}{extra}{end}", "Tell me a {short}story about {a}{extra}{end}",
    "Please write a {short}story about {a}{extra}{end}", "Can you tell a {short}story about {a}{extra}?",
    "I would like a {short}story about {a}{extra}{end}", "write a {short}story about {a}{extra}",
    "Make up a {short}story about {a}{extra}{end}", "Give me a {short}tale of {a}{extra}{end}",
    "A {short}story about {a}{extra}, please{end}", "Could you write a {short}story with {a}{extra}?",
    "tell me a {short}story about {a}{extra}", "Invent a {short}story on {a}{extra}{end}",
    "Tell a {short}bedtime story about {a}{extra}{end}", "Once upon a time there was {a}{extra}{end}",
    "I want to hear a {short}story about {a}{extra}{end}", "Write me a {short}story about {a}{extra}{end}",
    "Can you write me a {short}story about {a}{extra}?", "Create a {short}story about {a}{extra}{end}",
    "Write a {short}fairy tale about {a}{extra}{end}", "Tell me about {a}{extra} in a {short}story{end}",
    "Story about {a}{extra}{end}", "Write a few sentences of a story about {a}{extra}{end}",
    "Do you know a {short}story about {a}{extra}?", "My child wants a {short}story about {a}{extra}{end}",
    "Compose a {short}story where the hero is {a}{extra}{end}", "Please tell me a {short}story with {a}{extra}{end}",
    "Write a {short}tale of adventure about {a}{extra}{end}", "Come up with a {short}story about {a}{extra}{end}",
)  # fmt: skip
CLAUSES = (
    "who wants to {wish}|who tries to {wish}|who cannot {wish}|who is {trait}|who is afraid of the dark|"
    "who lives near {place}|near {place}|in winter|who finds {gift2}|who meets {helper}|"
    "who loves to sing|who gets lost|and {helper}|and {gift2}"
).split("|")
