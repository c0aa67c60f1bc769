local chunks = require('lycosa.document.chunks')
local fio = require('fio')
local tokens = require('lycosa.document.tokens')
local utf8 = require('utf8')

local here = fio.dirname(debug.getinfo(1, 'S').source:gsub('^@', ''))

local function terms(text)
    return table.concat((tokens.terms(text)), ' ')
end

describe('a stemmer', function()
    -- Word and stem, as the reference implementation of Snowball 2.2 gives them.
    for _, case in ipairs({{'english', 'stem_en'}, {'russian', 'stem_ru'}}) do
        it('agrees with the reference: ' .. case[1], function()
            local stem = require('lycosa.document.' .. case[2])
            local count, wrong = 0, {}
            for line in io.lines(fio.pathjoin(here, 'stems', case[1] .. '.tsv')) do
                local word, expected = line:match('^(.-)\t(.*)$')
                count = count + 1
                if stem(word) ~= expected then
                    table.insert(wrong, ('%s: %s, not %s'):format(word, stem(word), expected))
                end
            end
            assert.is_true(count > 2500)
            assert.are.same({}, wrong)
        end)
    end
end)

describe('words', function()
    local cases = {
        {'case folds', 'COMPANIES Ёлки КОМПАНИЯМИ', 'compani елк компан'},
        {'ё is е', 'растёт растет', 'растет растет'},
        {'hyphens part words', 'e-mail кто-то', 'e mail кто то'},
        {'apostrophes stay inside', "O'Neil’s company's 'quoted'", "o'neil compani quot"},
        {'digits', '2024-05 Q4 3.14 №5', '2024 05 q4 3 14 5'},
        {'marks of both languages', '«Газпром» — “Shell”, € 5…', 'газпр shell 5'},
        {'combining accents', 'и\204\134од за\204\129мок e\204\129tude', 'йод замок etud'},
        {'soft hyphens and joiners', 'com\194\173pany ком\226\128\141пания \239\187\191start', 'compani компан start'},
        {'script decides, word by word', 'Running бегущий', 'run бегущ'},
        {'other letters stay as they are', 'Café naïve 東京 Ελλάδα İstanbul', 'café naïve 東京 ελλάδα istanbul'},
        {'mixed scripts and digits stay', 'iphoneы covid19s', 'iphoneы covid19s'},
        {'signs are no words', '— … × ÷ 😀 _ + / \226\132\150 \239\191\189 \227\128\130', ''},
        {'nothing', ' \n\t ', ''},
    }
    for _, case in ipairs(cases) do
        it(case[1], function()
            assert.are.equal(case[3], terms(case[2]))
        end)
    end

    it('are cut at 64 bytes, between letters', function()
        assert.are.equal(64, #terms(('x1'):rep(100)))
        local cut = terms('1' .. ('ж'):rep(100))
        assert.are.equal(63, #cut)
        assert.is_truthy(utf8.len(cut))
    end)

    it('are the same however often the memory of stems starts anew', function()
        for i = 1, 17000 do
            tokens.terms('word' .. i)
        end
        assert.are.equal('compani компан', terms('companies компаниями'))
    end)

    it('are counted, and told apart in order', function()
        local counts = {}
        assert.are.equal(5, tokens.count('red Reds blue красный красная', counts))
        assert.are.same({red = 2, blue = 1, ['красн'] = 2}, counts)
        assert.are.same({'red', 'blue'}, tokens.distinct('reds blue red green', 2))
    end)

    it('tell the language', function()
        assert.are.equal('ru', tokens.language('Отчёт компании Shell за год'))
        assert.are.equal('en', tokens.language('The report of Газпром for a year'))
        assert.are.equal('en', tokens.language('12345'))
    end)
end)

describe('passages', function()
    local function lengths(passages)
        local answer = {}
        for i, passage in ipairs(passages) do
            answer[i] = assert(utf8.len(passage), 'is not valid UTF-8')
        end
        return answer
    end

    local function check(text)
        local passages = chunks.split(text)
        assert.are.equal(text, table.concat(passages))
        for _, length in ipairs(lengths(passages)) do
            assert.is_true(length <= chunks.LONGEST)
        end
        return passages
    end

    it('of a short text are the text', function()
        assert.are.same({'Short. Коротко.'}, check('Short. Коротко.'))
        assert.are.same({}, chunks.split(''))
    end)

    it('end where sentences end, in both languages', function()
        for _, sentence in ipairs({'The company grew by ten percent. ', 'Компания выросла на «десять процентов.» ',
            'He said “no!” ', 'Кто знает… ', 'Really?\n'}) do
            local passages = check(sentence:rep(math.floor(5000 / #sentence)))
            assert.is_true(#passages > 2)
            for i = 1, #passages do
                assert.are.equal(sentence:sub(-4), passages[i]:sub(-4))
            end
        end
    end)

    it('prefer the end of a paragraph, then of a line, then of a word', function()
        local paragraph = ('Sentence. '):rep(70)
        assert.are.equal(paragraph .. '\n \n', check(paragraph .. '\n \n' .. ('More. '):rep(300))[1])
        local line = ('word '):rep(150)
        assert.are.equal(line .. '\n', check(line .. '\n' .. ('next '):rep(300))[1])
        assert.are.equal(' ', check(('слово '):rep(500))[1]:sub(-1))
    end)

    it('are cut between letters where nothing else parts the text', function()
        assert.are.same({1100, 1100, 300}, lengths(check(('ж'):rep(2500))))
        assert.are.same({1100, 900}, lengths(check(('😀'):rep(2000))))
    end)

    it('make up the text again, whatever the text', function()
        local pieces = {'a', 'ж', '. ', '\n', '\n\n', ' ', '» ', '…', '😀', 'слово ', 'word ', '"', '! ', '\t'}
        math.randomseed(11)
        for _ = 1, 10 do
            local text = {}
            for i = 1, math.random(2000) do
                text[i] = pieces[math.random(#pieces)]
            end
            check(table.concat(text))
        end
    end)
end)

describe('terms of a query', function()
    local function match(query, texts)
        return lycosa.document.match{tenant = 'acme', query = query, texts = texts}
    end

    it('are counted in texts that are not stored, by their stems', function()
        local found = match('Paying счета pay', {'He pays; счёт, счета. Paid?', '', 'ничего'})
        assert.are.same({'pay', 'счет'}, found.terms)
        assert.are.same({{5, {1, 2}}, {0, {0, 0}}, {1, {0, 0}}}, found.matches)
        assert.are.same({{2, {}}}, match('...', {'two words'}).matches)
    end)

    it('are counted in a bounded amount of text', function()
        local support = require('tests.lua.support')
        local large = ('слово '):rep(5000)
        match('слово', {large, large, large, large})
        support.raises('INVALID_ARGUMENT', match, 'слово', {large, large, large, large, large})
    end)
end)
