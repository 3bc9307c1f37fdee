package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/shardmill/shardmill/engine/catalog"
)

// ConsumerInfo is one registered consumer; see catalog.ConsumerInfo.
type ConsumerInfo = catalog.ConsumerInfo

const (
	// consumerLimit is how many consumers AWS lets a stream have.
	consumerLimit = 20
	// creatingConsumers is how many consumers of a stream may be CREATING at once.
	creatingConsumers = 5
)

// RegisterConsumer adds a consumer to a stream that is ACTIVE or UPDATING and returns it when that is durable. With
// Options.Transition it is CREATING for that long, else ACTIVE at once. Errors: CodeInUse where the name is taken or the
// stream is not ready, CodeLimitExceeded, CodeInvalidArgument for bad tags, CodeNotFound, CodeStopped.
func (s *Stream) RegisterConsumer(_ context.Context, name string, tags map[string]string) (ConsumerInfo, error) {
	s.control.Lock()
	defer s.control.Unlock()
	info, err := s.exists()
	if err == nil {
		err = s.mayRegister(info, name, tags)
	}
	if err != nil {
		return ConsumerInfo{}, err
	}
	c := ConsumerInfo{Name: name, Created: time.Now().Unix(), Status: catalog.Active}
	if len(tags) > 0 {
		c.Tags = maps.Clone(tags)
	}
	if s.e.o.Transition > 0 {
		c.Status = catalog.Creating
	}
	next := info.Clone()
	next.SetConsumer(c)
	if err := s.commit(next, nil); err != nil {
		return ConsumerInfo{}, err
	}
	if c.Status == catalog.Creating {
		s.e.due.addConsumer(s.e.transitionEnd(), s, c)
	}
	return c, nil
}

func (s *Stream) mayRegister(info *StreamInfo, name string, tags map[string]string) *Error {
	if info.Status != catalog.Active && info.Status != catalog.Updating {
		return newError(CodeInUse, "Stream %s under account %s not ACTIVE or UPDATING, instead in state %s", s.name.Stream, s.name.Account, info.Status)
	}
	if name == "" {
		return newError(CodeInvalidArgument, "ConsumerName must not be empty.")
	}
	if c := info.Consumer(name); c != nil {
		return newError(CodeInUse, "Consumer %s under stream %s already exists for account %s.", name, s.name.Stream, s.name.Account)
	}
	creating := 0
	for i := range info.Consumers {
		if info.Consumers[i].Status == catalog.Creating {
			creating++
		}
	}
	switch {
	case len(info.Consumers) >= consumerLimit:
		return newError(CodeLimitExceeded, "This request would exceed the limit on the number of consumers of stream %s under account %s. "+
			"Current consumer count: %d. Limit: %d.", s.name.Stream, s.name.Account, len(info.Consumers), consumerLimit)
	case creating >= creatingConsumers:
		return newError(CodeLimitExceeded, "This request would exceed the limit on the number of consumers in the CREATING state of stream %s under account %s. "+
			"Limit: %d.", s.name.Stream, s.name.Account, creatingConsumers)
	}
	if err := checkNewTags(s.name, tags); err != nil {
		return err
	}
	return s.e.failed.Load()
}

// Consumer returns the consumer of that name, whatever its status. created is its creation in seconds since 1970; 0 stands
// for any. CodeNotFound where there is none.
func (s *Stream) Consumer(name string, created int64) (ConsumerInfo, error) {
	info, err := s.exists()
	if err != nil {
		return ConsumerInfo{}, err
	}
	c, err := s.findConsumer(info, name, created)
	if err != nil {
		return ConsumerInfo{}, err
	}
	return *c, nil
}

func (s *Stream) findConsumer(info *StreamInfo, name string, created int64) (*ConsumerInfo, *Error) {
	if c := info.Consumer(name); c != nil && (created == 0 || created == c.Created) {
		return c, nil
	}
	return nil, noSuchConsumer(s.name, name)
}

func noSuchConsumer(n Name, consumer string) *Error {
	return newError(CodeNotFound, "Consumer %s, account %s not found.", consumer, n.Account)
}

// DeregisterConsumer removes a consumer and returns when that is durable; its subscriptions end. With Options.Transition
// it is DELETING for that long. Errors: CodeNotFound, CodeStopped.
func (s *Stream) DeregisterConsumer(_ context.Context, name string, created int64) error {
	s.control.Lock()
	defer s.control.Unlock()
	info, err := s.exists()
	if err != nil {
		return err
	}
	c, err := s.findConsumer(info, name, created)
	if err != nil {
		return err
	}
	if c.Status == catalog.Deleting {
		return nil
	}
	if err := s.e.failed.Load(); err != nil {
		return err
	}
	next := info.Clone()
	if s.e.o.Transition <= 0 {
		next.DropConsumer(name)
		return asError(s.commit(next, nil))
	}
	going := *c
	going.Status = catalog.Deleting
	next.SetConsumer(going)
	if err := s.commit(next, nil); err != nil {
		return err
	}
	s.e.due.addConsumer(s.e.transitionEnd(), s, going)
	return nil
}

// SetConsumerTags adds or overwrites tags of a consumer and removes others. Errors: CodeNotFound, CodeInvalidArgument for
// bad or too many tags, CodeStopped.
func (s *Stream) SetConsumerTags(_ context.Context, name string, created int64, add map[string]string, remove []string) error {
	s.control.Lock()
	defer s.control.Unlock()
	info, err := s.exists()
	if err != nil {
		return err
	}
	c, err := s.findConsumer(info, name, created)
	if err == nil {
		err = checkNewTags(s.name, add)
	}
	if err == nil {
		err = s.e.failed.Load()
	}
	if err != nil {
		return err
	}
	tagged := *c
	tagged.Tags = map[string]string{}
	maps.Copy(tagged.Tags, c.Tags)
	for _, k := range remove {
		delete(tagged.Tags, k)
	}
	maps.Copy(tagged.Tags, add)
	if len(tagged.Tags) > maxTags && len(add) > 0 {
		return tooManyTags(s.name)
	}
	if len(tagged.Tags) == 0 {
		tagged.Tags = nil
	}
	next := info.Clone()
	next.SetConsumer(tagged)
	return asError(s.commit(next, nil))
}

// arriveConsumer ends a transition of a consumer. A failure has made the engine fail, so the next caller hears of it.
func (s *Stream) arriveConsumer(was ConsumerInfo) {
	s.control.Lock()
	defer s.control.Unlock()
	info, err := s.exists()
	if err != nil {
		return // deleted meanwhile
	}
	c, err := s.findConsumer(info, was.Name, was.Created)
	if err != nil || c.Status != was.Status {
		return // deregistered meanwhile
	}
	next := info.Clone()
	if c.Status == catalog.Deleting {
		next.DropConsumer(c.Name)
	} else {
		ready := *c
		ready.Status = catalog.Active
		next.SetConsumer(ready)
	}
	_ = s.commit(next, nil) // has failed the engine
}

// settleConsumers finishes what the last process began: those CREATING are ACTIVE, those DELETING gone. It returns info
// itself where nothing was begun.
func settleConsumers(info *StreamInfo) *StreamInfo {
	moving := func(c ConsumerInfo) bool { return c.Status != catalog.Active }
	if !slices.ContainsFunc(info.Consumers, moving) {
		return info
	}
	next := info.Clone()
	for _, c := range info.Consumers {
		switch c.Status {
		case catalog.Deleting:
			next.DropConsumer(c.Name)
		case catalog.Creating:
			c.Status = catalog.Active
			next.SetConsumer(c)
		}
	}
	return next
}

// consumersHold is why a stream cannot be deleted that has consumers.
func consumersHold(n Name) *Error {
	return newError(CodeInUse, "DeleteStream can't delete %s:%s because there are consumers associated with this data stream. "+
		"To delete %s anyway, set the EnforceConsumerDeletion parameter to true to force the deletion of all the consumers that are associated with it.",
		n.Account, n.Stream, n.Stream)
}
