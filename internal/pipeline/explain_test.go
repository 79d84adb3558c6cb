package pipeline

import (
	"testing"

	"titrate/internal/explain"
)

func TestCodes_areExplained(t *testing.T) {
	t.Parallel()
	for _, c := range []string{CodeFailed, CodeDocker, CodeNoGo, CodeModule, CodeGoVersion, CodeNothing, CodeOutput, CodeLimit, CodeNoSpace, CodeCorrupt, CodeTool, CodeVersion, CodeLock, CodeUnreachable, CodeTest, CodeImage, CodeDockerfile, CodeEngine, CodePlatform, CodeFunction, CodeBootstrap, CodePackage, CodeHandler, CodeLayer} {
		if _, ok := explain.Page(c); !ok {
			t.Errorf("%s has no page", c)
		}
	}
}
