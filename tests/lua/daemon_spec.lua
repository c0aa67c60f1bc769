local clock = require('lycosa.core.clock')
local fiber = require('fiber')
local support = require('tests.lua.support')

-- A daemon of our own beside the server's: the module's state is its locals.
local function private_daemon()
    local kept = package.loaded['lycosa.core.daemon']
    package.loaded['lycosa.core.daemon'] = nil
    local daemon = require('lycosa.core.daemon')
    package.loaded['lycosa.core.daemon'] = kept
    return daemon
end

local function eventually(condition)
    local deadline = clock.monotonic() + 5
    while not condition() and clock.monotonic() < deadline do
        fiber.sleep(0.002)
    end
    return condition()
end

describe('daemon', function()
    local daemon

    before_each(function()
        support.reset()
        daemon = private_daemon()
    end)

    after_each(function()
        daemon.stop()
        box.cfg{read_only = false}
    end)

    local function figures(name)
        for _, step in ipairs(daemon.figures()) do
            if step.name == name then
                return step
            end
        end
    end

    it('runs a step with its limit until nothing is left, then rests', function()
        local left, limits = 7, {}
        daemon.register{name = 'spec.work', limit = 3, run = function(limit)
            table.insert(limits, limit)
            left = math.max(0, left - limit)
            return left > 0
        end}
        daemon.start()
        assert.is_true(eventually(function() return #limits == 3 end))
        fiber.sleep(0.02)
        assert.are.same({3, 3, 3}, limits)
        assert.is_true(figures('spec.work').due_in > 50)
    end)

    it('takes a number of what is left for more', function()
        local left = 3
        daemon.register{name = 'spec.work', limit = 1, run = function()
            left = left - 1
            return left
        end}
        daemon.start()
        assert.is_true(eventually(function() return left == 0 end))
        assert.are.equal(3, figures('spec.work').runs)
    end)

    it('wakes at the due time that a step names', function()
        local runs = 0
        daemon.register{name = 'spec.timed', limit = 1, run = function()
            runs = runs + 1
            return false, clock.now() + 0.05
        end}
        local started = clock.monotonic()
        daemon.start()
        assert.is_true(eventually(function() return runs >= 3 end))
        assert.is_true(clock.monotonic() - started >= 0.1)
    end)

    it('wakes on demand, also from within the step', function()
        local runs = 0
        daemon.register{name = 'spec.woken', limit = 1, run = function()
            runs = runs + 1
            if runs == 2 then
                daemon.wake('spec.woken')
            end
            return false
        end}
        daemon.start()
        assert.is_true(eventually(function() return runs == 1 end))
        fiber.sleep(0.02)
        assert.are.equal(1, runs)
        daemon.wake('spec.woken')
        assert.is_true(eventually(function() return runs == 3 end))
        daemon.wake('spec.nobody')
    end)

    it('goes on with the others when a step raises, tries it again later, and undoes its transaction', function()
        local others, attempts = 0, 0
        daemon.register{name = 'spec.failing', limit = 1, run = function()
            attempts = attempts + 1
            box.begin()
            box.space.cache_entry:insert{'acme', 1, 'half', 'written', 'text/plain', 0, 1e12, 1e12, false, {}, 1, 1, 1, {}}
            error('broken on purpose')
        end}
        daemon.register{name = 'spec.other', limit = 1, run = function()
            others = others + 1
            return others < 5
        end}
        daemon.start()
        assert.is_true(eventually(function() return others == 5 end))
        assert.are.equal(1, attempts)
        local failing = figures('spec.failing')
        assert.are.equal(1, failing.failures)
        assert.is_truthy(failing.last_error:find('broken on purpose', 1, true))
        assert.is_true(failing.due_in > 0.1 and failing.due_in <= 0.5)
        -- A wake does not shorten the pause of a step that fails.
        daemon.wake('spec.failing')
        fiber.sleep(0.02)
        assert.are.equal(1, attempts)
        assert.is_true(eventually(function() return attempts == 2 end))
        assert.is_true(figures('spec.failing').due_in > 0.5)
        assert.is_nil(box.space.cache_entry:get{'acme', 'half'})
    end)

    it('rests on a read-only instance and goes on when it is writable', function()
        local runs = 0
        box.cfg{read_only = true}
        daemon.register{name = 'spec.writes', limit = 1, run = function()
            runs = runs + 1
            return false
        end}
        daemon.start()
        fiber.sleep(0.05)
        assert.are.equal(0, runs)
        box.cfg{read_only = false}
        assert.is_true(eventually(function() return runs == 1 end))
    end)

    it('stops after the slice it is in', function()
        local entered, left = false, false
        daemon.register{name = 'spec.slow', limit = 1, run = function()
            entered = true
            fiber.sleep(0.05)
            left = true
            return true
        end}
        daemon.start()
        assert.is_true(eventually(function() return entered end))
        daemon.stop()
        assert.is_true(left)
        assert.are.same({}, daemon.figures())
        daemon.stop()
    end)

    it('counts the time of slices', function()
        daemon.register{name = 'spec.timed', limit = 1, run = function()
            -- Not one sleep: a timer counts from the event loop's last turn, which may be long ago.
            local until_ = clock.monotonic() + 0.02
            while clock.monotonic() < until_ do
                fiber.sleep(0.005)
            end
        end}
        daemon.start()
        assert.is_true(eventually(function() return figures('spec.timed').runs == 1 end))
        local step = figures('spec.timed')
        assert.is_true(step.slowest >= 0.015 and step.seconds >= step.slowest)
        assert.is_true(step.last_error == nil)
    end)

    it('drains a step here and now, and no further than told', function()
        local left = 5
        daemon.register{name = 'spec.drained', limit = 2, run = function(limit)
            left = math.max(0, left - limit)
            return left
        end}
        assert.are.equal(1, daemon.drain('spec.drained', 1))
        assert.are.equal(3, left)
        assert.are.equal(2, daemon.drain('spec.drained'))
        assert.has_error(function() daemon.drain('spec.nobody') end)
    end)

    it('refuses to register a name twice', function()
        daemon.register{name = 'spec.one', limit = 1, run = function() end}
        assert.has_error(function()
            daemon.register{name = 'spec.one', limit = 1, run = function() end}
        end)
    end)
end)
